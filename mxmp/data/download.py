"""Downloads that end with the right file or with one clear line."""
from __future__ import annotations

import hashlib
import logging
import os
import time
from pathlib import Path
from typing import Union

import requests
import urllib3
from tqdm import tqdm

__all__ = ["download", "default_cache_dir"]

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30
_BACKOFF_SECONDS = 0.5
_log = logging.getLogger(__name__)


class _Refused(Exception):
    """The server said that it will not send the file: trying again is of no use."""


def default_cache_dir() -> Path:
    """Where downloads go: ``$MXMP_CACHE``, else ``mxmp`` in ``$XDG_CACHE_HOME``, else ``~/.cache/mxmp``."""
    if os.environ.get("MXMP_CACHE"):
        return Path(os.environ["MXMP_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mxmp"


def download(url: str, path: Union[str, os.PathLike[str]], sha256: str, retries: int = 3,
             progress: bool = True) -> Path:
    """Make sure that `path` is the file with checksum `sha256`, fetching it from `url` if it is not.

    The file appears under its name only when complete and verified; nothing else is left behind.

    Parameters
    ----------
    url : str
        Address to fetch.
    path : str or path
        File to write; missing folders are made.
    sha256 : str
        Its checksum, 64 hexadecimal digits.
    retries : int
        How often to try again after a failure that may pass, with growing pauses.
    progress : bool
        Whether to show a progress bar.

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
    if path.is_file() and _checksum(path) == sha256:
        return path
    reason = ""
    for attempt in range(retries + 1):
        if attempt:
            pause = _BACKOFF_SECONDS * 2 ** (attempt - 1)
            _log.warning("%s: %s; trying again in %.1f s", url, reason, pause)
            time.sleep(pause)
        try:
            _fetch(url, path, sha256, progress)
            return path
        except _Refused as error:
            reason = str(error)
            break
        # requests' own errors are OSErrors, as are those of writing the file
        except (OSError, urllib3.exceptions.HTTPError) as error:
            reason = _root_cause(error)
    raise RuntimeError(f"cannot download {url}: {reason}; check the connection, or download it by hand and "
                       "pass its folder as --data_dir")


def _fetch(url: str, path: Path, sha256: str, progress: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        _stream(url, partial, progress)
        found = _checksum(partial)
        if found != sha256:
            raise OSError(f"wrong checksum (sha256 {found}, expected {sha256})")
        os.replace(partial, path)
    finally:
        if partial.exists():
            partial.unlink()


def _stream(url: str, partial: Path, progress: bool) -> None:
    # Bytes are taken as they come: some servers declare a .gz file to be a gzip-encoded reply, and unpacking
    # that would change the file.
    with requests.get(url, stream=True, timeout=_TIMEOUT_SECONDS,
                      headers={"Accept-Encoding": "identity"}) as reply:
        if 400 <= reply.status_code < 500:
            raise _Refused(f"HTTP {reply.status_code} {reply.reason}")
        if reply.status_code != 200:
            raise OSError(f"HTTP {reply.status_code} {reply.reason}")
        declared = reply.headers.get("Content-Length")
        total = int(declared) if declared else None
        received = 0
        with open(partial, "wb") as file, tqdm(total=total, unit="B", unit_scale=True, desc=partial.name,
                                               disable=not progress, leave=False) as bar:
            for chunk in reply.raw.stream(_CHUNK, decode_content=False):
                file.write(chunk)
                received += len(chunk)
                bar.update(len(chunk))
    if total is not None and received != total:
        raise OSError(f"truncated reply ({received} of {total} bytes)")


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _root_cause(error: BaseException) -> str:
    """The innermost error's message: requests wraps 'Connection refused' into three others."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return " ".join(str(error).split()) or type(error).__name__
