"""Multi30k, task 1: captions of Flickr images in English and German (Elliott et al. 2016), and how they are fetched."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

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
    pass is tried again three times, with growing pauses.

    Parameters
    ----------
    url : str
        Address to fetch.
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
    fetch = pooch.HTTPDownloader(progressbar=True, chunk_size=1 << 16, timeout=30,
                                 headers={"Accept-Encoding": "identity"}, hooks={"response": _check_reply})
    fetch(url, partial, files)
    os.chmod(partial, 0o644)  # pooch makes it its owner's alone, but a cache may be shared


def _check_reply(reply: Any, **_: Any) -> None:
    if 400 <= reply.status_code < 500:  # trying again is of no use, which pooch does after other kinds of errors
        raise RuntimeError(f"HTTP {reply.status_code} {reply.reason}")
    # Some servers declare a .gz file to be a gzip-encoded reply, and unpacking that would change the file.
    reply.raw.headers.pop("Content-Encoding", None)
