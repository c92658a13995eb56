import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import pytest

from mxmp.data import default_cache_dir, download

CONTENT = bytes(range(256)) * 999
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's list of faults says, one fault a request, and properly once it is empty."""

    def do_GET(self):
        self.server.requests += 1
        fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, int):
            self.send_error(fault)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        if fault == "declared as gzip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        body = {"truncated": CONTENT[:1000], "wrong": CONTENT[::-1]}.get(fault, CONTENT)
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Keep the test output clean."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(import_module("mxmp.data.download"), "_BACKOFF_SECONDS", 0.001)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.faults = 0, []
    server.url = f"http://127.0.0.1:{server.server_port}/file"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(url, path, **options):
    return download(url, path, SHA256, progress=False, **options)


def test_fetches_a_file_once(server, tmp_path):
    path = tmp_path / "new" / "file"
    assert fetch(server.url, path) == path
    assert fetch(server.url, path).read_bytes() == CONTENT
    assert server.requests == 1


def test_fetches_again_what_has_the_wrong_checksum(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert fetch(server.url, path).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["truncated", "wrong", 500])
def test_gets_over_a_passing_fault(server, tmp_path, fault):
    server.faults = [fault, fault]
    assert fetch(server.url, tmp_path / "file").read_bytes() == CONTENT
    assert server.requests == 3


def test_takes_the_bytes_as_they_are(server, tmp_path):
    server.faults = ["declared as gzip"]
    assert fetch(server.url, tmp_path / "file", retries=0).read_bytes() == CONTENT


@pytest.mark.parametrize("fault, requests, reason", [
    ("truncated", 3, "1000 .*bytes|1000 bytes read"), ("wrong", 3, "wrong checksum"), (503, 3, "HTTP 503"),
    (404, 1, "HTTP 404 Not Found")])
def test_a_lasting_fault_is_one_clear_line_and_leaves_nothing(server, tmp_path, fault, requests, reason):
    server.faults = [fault] * 9
    message = f"cannot download {server.url}: .*({reason}).*--data_dir"
    with pytest.raises(RuntimeError, match=message) as error:
        fetch(server.url, tmp_path / "file", retries=2)
    assert "\n" not in str(error.value)
    assert server.requests == requests
    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_is_one_clear_line(server, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        message = f"cannot download {url}: .*Connection refused; check"
        with pytest.raises(RuntimeError, match=message) as error:
            fetch(url, tmp_path / "file")
    assert "\n" not in str(error.value)


def test_a_failure_keeps_the_old_file(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    server.faults = [404]
    with pytest.raises(RuntimeError):
        fetch(server.url, path)
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
