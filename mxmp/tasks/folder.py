"""A run's folder: opened once, by one process at a time."""
from __future__ import annotations

import fcntl
import logging
import os
import platform
import time
from pathlib import Path
from typing import Any, Dict, Tuple

from .. import runtime
from ..command import go_on_with, save_options, saved_options
from . import checkpoint
from .progress import start_log

LOCK = ".mxmp-lock"
"""Name of the file in a run's folder that is locked while a process trains there, and names it."""

_held: Dict[Tuple[int, int], int] = {}  # this process's locks, by device and inode; they end with it, however it ends
_log = logging.getLogger(__name__)


def open_folder(options: Any, name: str) -> Path:
    """The folder of a new run, or of one that is resumed, locked by this process and with its log begun.

    Without ``--output_dir`` it is a new one, ``runs/NAME-TIME``. A new run's ``options`` are written there at once, so
    that what is interrupted before its first step can go on. A folder that holds a run, and one that another process
    works in, is a ValueError.
    """
    folder = Path(options.output_dir) if options.output_dir else _new(f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    folder.mkdir(parents=True, exist_ok=True)
    lock(folder)
    resumable, resumed = hasattr(options, "resume"), getattr(options, "resume", False)
    if not resumed and (saved_options(folder, type(options)) or checkpoint.is_any(folder)):
        remedy = "go on with --resume, or choose another" if resumable else "choose another"
        raise ValueError(f"{folder} holds a training run; {remedy} --output_dir")
    start_log(folder)
    _log.info("run folder %s, runtime %s", folder, runtime.report())
    if not resumed:
        save_options(folder, options)
    if resumable:
        go_on_with("--resume", "--output_dir", str(folder))
    return folder


def lock(folder: Path) -> None:
    """Keep other processes from training in a ``folder``, until this one ends; ValueError if one does already.

    Where the file system has no locks, the log says so.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    status = os.fstat(handle)
    if (status.st_dev, status.st_ino) in _held:
        os.close(handle)
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = _owner(handle)
        os.close(handle)
        raise ValueError(f"{folder} holds a training run that {owner} is at work on; wait until it ends, or choose "
                         "another --output_dir") from error
    except OSError as error:
        _log.warning("%s cannot be locked (%s): take care that no other run uses it", folder, error.strerror)
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {platform.node()}\n".encode())
    _held[status.st_dev, status.st_ino] = handle


def _owner(handle: int) -> str:
    """The process that has locked an open file, by what it wrote into it, or is about to write."""
    for _ in range(100):
        owner = os.pread(handle, 1000, 0).decode("utf-8", "replace").strip()
        if owner:
            return owner
        time.sleep(0.01)
    return "another process"


def _new(name: str) -> Path:
    """A folder below runs/ that no other process has made."""
    folder, again = Path("runs") / name, 1
    folder.parent.mkdir(exist_ok=True)
    while True:
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            again += 1
            folder = folder.with_name(f"{name}-{again}")
