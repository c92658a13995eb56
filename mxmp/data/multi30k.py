"""Multi30k, task 1: captions of Flickr images in English and German (Elliott et al. 2016), and how they are fetched."""
from __future__ import annotations

import os
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO, Callable, Optional
from urllib.parse import urljoin, urlsplit

import pooch

from .corpus import Corpus
from .files import PathLike, read_pair

MULTI30K_URL = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw"
"""Where `load_multi30k` downloads from, if not told otherwise."""

# As of multi30k/dataset at a3d2e0d26b56.
_CHECKSUMS = {
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
}
_SCHEMES = ("https", "http")
_MAX_BYTES, _MAX_SECONDS = 2 ** 26, 600  # of a download; the largest file above has 0.6 MB
_LANGUAGES = ("en", "de")
_SPLITS = ("train", "val", "test_2016_flickr")


def load_multi30k(src_lang: str = "de", tgt_lang: str = "en", data_dir: Optional[PathLike] = None,
                  cache_dir: Optional[PathLike] = None, base_url: str = MULTI30K_URL) -> Corpus:
    """Load Multi30k: 29,000 pairs to train on, 1,014 to validate, and test_2016_flickr's 1,000.

    The data set's authors ask for non-commercial research use and a citation.

    Parameters
    ----------
    src_lang : str, default "de"
        ``'de'`` or ``'en'``.
    tgt_lang : str, default "en"
        The other one.
    data_dir : str or path, optional
        Folder with the files ``{train,val,test_2016_flickr}.{en,de}.gz``, read as they are.
    cache_dir : str or path, optional
        Without `data_dir`: the files are downloaded into ``multi30k`` in this folder, `default_cache_dir` by
        default, unless they are there already, and must have the checksums known to this module.
    base_url : str
        Address of the folder to download from.

    Returns
    -------
    Corpus
        Its name is "multi30k".

    Raises
    ------
    ValueError
        If the languages are not the two, or a file in `data_dir` is missing or damaged.
    RuntimeError
        If a download fails.
    """
    if sorted((src_lang, tgt_lang)) != sorted(_LANGUAGES):
        raise ValueError(f'src_lang={src_lang!r}, tgt_lang={tgt_lang!r}: multi30k has one language from each '
                         f'of {", ".join(_LANGUAGES)}')
    if data_dir is not None:
        folder = Path(data_dir)
        missing = [name for name in _CHECKSUMS if not (folder / name).is_file()]
        if missing:
            raise ValueError(f'{folder}: missing {", ".join(missing)}; the folder must hold '
                             f'{{{",".join(_SPLITS)}}}.{{{",".join(_LANGUAGES)}}}.gz')
    else:
        folder = Path(cache_dir or default_cache_dir()) / "multi30k"
        for name, sha256 in _CHECKSUMS.items():
            download(f'{base_url.rstrip("/")}/{name}', folder / name, sha256)
    train, valid, test = [read_pair(folder / f"{split}.{src_lang}.gz", folder / f"{split}.{tgt_lang}.gz")
                          for split in _SPLITS]
    return Corpus("multi30k", src_lang, tgt_lang, train, valid, test)


def default_cache_dir() -> Path:
    """Where downloads go: ``$MXMP_CACHE``, else ``mxmp`` in ``$XDG_CACHE_HOME``, else ``~/.cache/mxmp``."""
    if os.environ.get("MXMP_CACHE"):
        return Path(os.environ["MXMP_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mxmp"


def download(url: str, path: PathLike, sha256: str) -> Path:
    """Make sure that `path` is the file with checksum `sha256`, fetching it from `url` if it is not.

    The file appears under its name only when complete and verified; nothing else is left behind. A failure that may
    pass is tried again three times, with growing pauses; what has more than 64 MiB, takes more than ten minutes, or is
    redirected from https to anything else, is given up.

    Parameters
    ----------
    url : str
        Address to fetch, of https or, for a server of your own, http.
    path : str or path
        File to write; missing folders are made.
    sha256 : str
        Its checksum, 64 hexadecimal digits.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    RuntimeError
        If no try succeeded; one line with the address, the last reason and what to do.
    """
    path = Path(path)
    files = pooch.Pooch(path.parent, "", registry={path.name: sha256}, urls={path.name: url}, retry_if_failed=3)
    try:
        files.fetch(path.name, downloader=_fetch)
    except (OSError, ValueError, RuntimeError) as error:
        cause: BaseException = error
        while cause.__cause__ or cause.__context__:  # requests wraps 'Connection refused' into three other errors
            cause = cause.__cause__ or cause.__context__ or cause
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise RuntimeError(f"cannot download {url}: {reason}; check the connection, or download it by hand and "
                           "pass its folder as --data_dir") from error
    return path


def _fetch(url: str, partial: str, files: pooch.Pooch) -> None:
    if urlsplit(url).scheme not in _SCHEMES:
        raise RuntimeError(f"only {' and '.join(_SCHEMES)} addresses are fetched")
    get = pooch.HTTPDownloader(progressbar=True, chunk_size=1 << 16, timeout=30,
                               headers={"Accept-Encoding": "identity"}, hooks={"response": _check_reply})
    with open(partial, "wb") as file:
        ended: Future = Future()
        # requests limits the pause between two bytes alone, and a thread of an executor would hold up the program's end
        Thread(target=_call, args=(ended, get, url, _Limited(file), files), daemon=True).start()
        if not wait([ended], _MAX_SECONDS).done:
            raise RuntimeError(f"not finished after {_MAX_SECONDS:g} s")
        ended.result()
    os.chmod(partial, 0o644)  # pooch makes it its owner's alone, but a cache may be shared


def _call(ended: Future, function: Callable, *args: Any) -> None:
    try:
        ended.set_result(function(*args))
    except BaseException as error:
        ended.set_exception(error)


class _Limited:
    """A file that takes no more than `_MAX_BYTES`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size, self.flush = file, 0, file.flush

    def write(self, data: bytes) -> None:
        """Write bytes, or say that they are too many."""
        self._size += len(data)
        if self._size > _MAX_BYTES:  # trying again is of no use, which pooch does after other kinds of errors
            raise RuntimeError(f"more than {_MAX_BYTES} bytes")
        self._file.write(data)


def _check_reply(reply: Any, **_: Any) -> None:
    """Called for every reply, a redirect's too before that is followed."""
    target = urljoin(reply.url, reply.headers.get("Location", ""))
    schemes = ("https",) if urlsplit(reply.url).scheme == "https" else _SCHEMES
    if reply.is_redirect and urlsplit(target).scheme not in schemes:
        raise RuntimeError(f"redirected away from {' and '.join(schemes)}, to {target}")
    if 400 <= reply.status_code < 500:
        raise RuntimeError(f"HTTP {reply.status_code} {reply.reason}")
    # Some servers declare a .gz file to be a gzip-encoded reply, and unpacking that would change the file.
    reply.raw.headers.pop("Content-Encoding", None)
