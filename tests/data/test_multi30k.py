"""Multi30k from a folder, and downloads that end with the right file or with one clear line."""
import gzip
import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest

from mxmp.data import default_cache_dir, download, load_multi30k

module = import_module("mxmp.data.multi30k")
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "multi30k"
CONTENT = bytes(range(256)) * 999
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's list of faults says, one fault a request, and properly once it is empty."""

    def do_GET(self):
        self.server.requests += 1
        fault = self.server.faults.pop(0) if self.server.faults else None
        content = self.server.files.get(self.path.lstrip("/"))
        if isinstance(fault, int) or content is None:
            self.send_error(fault or 404)
            return
        if isinstance(fault, str) and ":" in fault:
            self.send_response(302)
            self.send_header("Location", fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if fault == "declared as gzip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if fault == "drip":
            while not self.server.ended.wait(0.05):
                self.wfile.write(b"x")
            return
        self.wfile.write({"truncated": content[:1000], "wrong": content[::-1]}.get(fault, content))

    def log_message(self, *arguments):
        """Keep the test output clean."""


@pytest.fixture
def server(monkeypatch):
    """A server of `files` by name, and no pauses between tries."""
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.faults, server.files, server.ended = 0, [], {"file": CONTENT}, threading.Event()
    server.folder = f"http://127.0.0.1:{server.server_port}/"
    server.url = f"{server.folder}file"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    """A data set of the right names and of two lines a file."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in module._CHECKSUMS:
        (folder / name).write_bytes(gzip.compress(f"{name}\nzwei\n".encode()))
    return folder


@pytest.fixture
def base_url(server, folder, monkeypatch):
    """The address of a server of `folder`, whose checksums are taken for the real ones."""
    server.files = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(module, "_CHECKSUMS", {
        name: hashlib.sha256(content).hexdigest() for name, content in server.files.items()})
    return server.folder


def test_fetches_a_file_once(server, tmp_path):
    path = tmp_path / "new" / "file"
    assert download(server.url, path, SHA256) == path
    assert download(server.url, str(path), SHA256).read_bytes() == CONTENT
    assert server.requests == 1


def test_others_may_read_it(server, tmp_path):
    assert os.stat(download(server.url, tmp_path / "file", SHA256)).st_mode & 0o777 == 0o644


def test_fetches_again_what_has_the_wrong_checksum(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert download(server.url, path, SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["truncated", "wrong", 500])
def test_gets_over_a_passing_fault(server, tmp_path, fault):
    server.faults = [fault, fault]
    assert download(server.url, tmp_path / "file", SHA256).read_bytes() == CONTENT
    assert server.requests == 3


def test_takes_the_bytes_as_they_are(server, tmp_path):
    server.faults = ["declared as gzip"]
    assert download(server.url, tmp_path / "file", SHA256).read_bytes() == CONTENT
    assert server.requests == 1


@pytest.mark.parametrize("fault, requests, reason", [
    ("truncated", 4, "1000 .*bytes|1000 bytes read|does not match"), ("wrong", 4, "does not match the known hash"),
    (503, 4, "503 Server Error"), (404, 1, "HTTP 404 Not Found")])
def test_a_lasting_fault_is_one_clear_line_and_leaves_nothing(server, tmp_path, fault, requests, reason):
    server.faults = [fault] * 9
    message = f"cannot download {server.url}: .*({reason}).*--data_dir"
    with pytest.raises(RuntimeError, match=message) as error:
        download(server.url, tmp_path / "file", SHA256)
    assert "\n" not in str(error.value)
    assert server.requests == requests
    assert list(tmp_path.iterdir()) == []


def fails(url, path, reason):
    """The download fails with one line that has the address and a reason, and leaves nothing."""
    message = f"cannot download {re.escape(url)}: {reason}; check the connection.*--data_dir"
    with pytest.raises(RuntimeError, match=message) as error:
        download(url, path, SHA256)
    assert "\n" not in str(error.value) and not path.exists() and not list(path.parent.glob("tmp*"))


def test_a_download_has_a_limit_of_size(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MAX_BYTES", len(CONTENT) - 1)
    fails(server.url, tmp_path / "file", f"more than {len(CONTENT) - 1} bytes")
    monkeypatch.setattr(module, "_MAX_BYTES", len(CONTENT))
    assert download(server.url, tmp_path / "file", SHA256).read_bytes() == CONTENT
    assert server.requests == 2


def test_a_download_has_a_limit_of_time_though_bytes_keep_coming(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MAX_SECONDS", 0.3)
    server.faults = ["drip"]
    fails(server.url, tmp_path / "file", "not finished after 0.3 s")
    assert server.requests == 1


@pytest.mark.parametrize("scheme", ["file", "ftp", "FILE", "data", ""])
def test_only_addresses_of_the_web_are_fetched(tmp_path, scheme):
    (tmp_path / "there").write_bytes(CONTENT)
    fails(f"{scheme}://{tmp_path}/there", tmp_path / "file", "only https and http addresses are fetched")


def test_a_redirect_is_followed_but_not_to_a_file(server, tmp_path):
    (tmp_path / "there").write_bytes(CONTENT)
    server.faults = [f"file://{tmp_path}/there"]
    fails(server.url, tmp_path / "file", f"redirected away from https and http, to file://{tmp_path}/there")
    server.faults = [server.url]
    assert download(server.url, tmp_path / "file", SHA256).read_bytes() == CONTENT


@pytest.fixture
def secure(server, tmp_path_factory, monkeypatch):
    """The server, speaking https with a certificate that the client trusts."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    key = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", key,
                    "-out", key, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.url = server.url.replace("http:", "https:")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(key))
    return server


def test_https_never_becomes_http(secure, tmp_path):
    target = secure.folder + "file"
    secure.faults = [target]
    fails(secure.url, tmp_path / "file", f"redirected away from https, to {target}")
    assert secure.requests == 1
    secure.faults = ["//" + target.split("//")[1], secure.url]
    assert download(secure.url, tmp_path / "file", SHA256).read_bytes() == CONTENT


def test_a_certificate_that_nobody_knows_is_refused(secure, tmp_path, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    fails(secure.url, tmp_path / "file", ".*CERTIFICATE_VERIFY_FAILED.*")


def test_a_refused_connection_is_one_clear_line(server, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        message = f"cannot download {url}: .*Connection refused; check"
        with pytest.raises(RuntimeError, match=message) as error:
            download(url, tmp_path / "file", SHA256)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_made_is_one_clear_line(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RuntimeError, match=f"cannot download {server.url}: .*--data_dir") as error:
        download(server.url, tmp_path / "file" / "file", SHA256)
    assert "\n" not in str(error.value)


def test_a_failure_keeps_the_old_file(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    server.faults = [404]
    with pytest.raises(RuntimeError):
        download(server.url, path, SHA256)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("variables, folder", [
    ({"MXMP_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"), ({"XDG_CACHE_HOME": "/b"}, "/b/mxmp"),
    ({"HOME": "/c"}, "/c/.cache/mxmp")])
def test_cache_folder_follows_the_environment(monkeypatch, variables, folder):
    for name in ("MXMP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(default_cache_dir()) == folder


def test_downloads_into_the_cache_and_only_once(base_url, server, tmp_path):
    cache = tmp_path / "cache"
    corpus = load_multi30k("de", "en", cache_dir=cache, base_url=base_url)
    assert corpus.test.src == ["test_2016_flickr.de.gz", "zwei"]
    server.files = {}
    assert load_multi30k("de", "en", cache_dir=cache, base_url=base_url) == corpus


def test_refuses_a_download_with_another_checksum(base_url, server, tmp_path):
    server.files["val.de.gz"] = gzip.compress(b"something else\n")
    with pytest.raises(RuntimeError, match=r"val\.de\.gz: .*does not match the known hash"):
        load_multi30k(cache_dir=tmp_path / "cache", base_url=base_url)


def test_reads_a_given_folder_either_way_round(folder):
    corpus = load_multi30k("en", "de", data_dir=folder)
    assert (corpus.src_lang, corpus.train.src[0]) == ("en", "train.en.gz")
    assert corpus.valid.tgt[0] == "val.de.gz"


def test_names_missing_files_and_what_is_expected(folder):
    (folder / "val.en.gz").unlink()
    message = r"missing val\.en\.gz; .*\{train,val,test_2016_flickr\}\.\{en,de\}\.gz"
    with pytest.raises(ValueError, match=message):
        load_multi30k(data_dir=folder)


@pytest.mark.parametrize("languages", [("de", "de"), ("fr", "en")])
def test_names_the_languages_there_are(folder, languages):
    with pytest.raises(ValueError, match="one language from each of en, de"):
        load_multi30k(*languages, data_dir=folder)


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/multi30k beside the repository")
def test_the_real_files_have_the_known_checksums_and_sizes():
    for name, sha256 in module._CHECKSUMS.items():
        assert hashlib.sha256((REAL / name).read_bytes()).hexdigest() == sha256
    corpus = load_multi30k(data_dir=REAL)
    assert [len(split) for split in (corpus.train, corpus.valid, corpus.test)] == [29000, 1014, 1000]
