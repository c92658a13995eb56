import functools
import gzip
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest

from mxmp.data import load_multi30k

module = import_module("mxmp.data.multi30k")
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "multi30k"


@pytest.fixture
def folder(tmp_path):
    """A data set of the right names and of two lines a file."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in module._CHECKSUMS:
        (folder / name).write_bytes(gzip.compress(f"{name}\nzwei\n".encode()))
    return folder


@pytest.fixture
def base_url(folder, monkeypatch):
    """The address of a server of `folder`, whose checksums are taken for the real ones."""
    monkeypatch.setattr(import_module("mxmp.data.download"), "_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(module, "_CHECKSUMS", {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in module._CHECKSUMS})

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_downloads_into_the_cache_and_only_once(base_url, folder, tmp_path):
    cache = tmp_path / "cache"
    corpus = load_multi30k("de", "en", cache_dir=cache, base_url=base_url)
    assert corpus.test.src == ["test_2016_flickr.de.gz", "zwei"]
    for path in folder.iterdir():
        path.unlink()
    assert load_multi30k("de", "en", cache_dir=cache, base_url=base_url) == corpus


def test_refuses_a_download_with_another_checksum(base_url, folder, tmp_path):
    (folder / "val.de.gz").write_bytes(gzip.compress(b"something else\n"))
    with pytest.raises(RuntimeError, match=r"val\.de\.gz: wrong checksum"):
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
