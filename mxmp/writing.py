"""Files that appear whole or not at all, and errors that say which could not be written and why."""
from __future__ import annotations

import errno
import os
import shutil
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterator, Union

PathLike = Union[str, "os.PathLike[str]"]
_SPARE = bytes(2 ** 16)


@contextmanager
def write_aside(path: PathLike) -> Iterator[Path]:
    """Yield another name in the folder of ``path`` to write to, which becomes ``path`` when the block ends.

    It is on the disk by then. A process that dies, or another one that reads, sees the old file or all of the new one.
    A block that fails leaves nothing of its own; an OSError is one line that names ``path`` and the cause. What is no
    file, such as a pipe, is written to itself; a link stays one, to the new file.
    """
    final = Path(os.path.realpath(path))
    partial = final.parent / f".{os.getpid()}.part.{final.name}"  # formats are told by the ending
    with naming(path, final, partial):
        if final.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if _is_special(final):
            yield final
            return
        try:
            partial.touch()  # a folder that takes no file is refused before the work
            if final.exists():
                shutil.copymode(final, partial)
            yield partial
            flush(partial)
            os.replace(partial, final)
            flush(final.parent)
        finally:
            with suppress(OSError):
                partial.unlink()


def write_arrays(path: PathLike, arrays: Dict[str, Any]) -> None:
    """Write NDArrays by name to ``path``, as `write_aside` does; waits for them before it touches a file.

    An array that could not be computed raises its error.
    """
    import mxnet as mx  # which must be configured first
    for array in arrays.values():
        array.wait_to_read()
    with write_aside(path) as partial:
        save = mx.npx.save if any(isinstance(array, mx.np.ndarray) for array in arrays.values()) else mx.nd.save
        try:
            save(str(partial), arrays)
        except mx.MXNetError:
            _ask_the_disk(partial)
            raise
        if not (_is_special(partial) or _ends_with(partial, _names(arrays))):  # MXNet does not look whether it does
            _ask_the_disk(partial)
            raise OSError("it was cut short")


def check_writable(path: PathLike) -> None:
    """Refuse now a ``path`` that `write_aside` or ``open`` would refuse once there is something to write."""
    final = Path(path)
    with naming(path):
        if not _is_special(final):
            new = not final.exists()
            open(final, "ab").close()
            if new:
                final.unlink()


@contextmanager
def naming(path: PathLike, *others: Path) -> Iterator[None]:
    """Let an OSError that is raised inside be one line with ``path``, if it has no other than this or ``others``."""
    try:
        yield
    except BrokenPipeError:  # nobody reads any more, which is no mistake
        raise
    except OSError as error:
        if error.filename is not None and str(error.filename) not in map(str, (path, *others)):
            raise
        raise OSError(f"{os.fspath(path)}: cannot be written ({error.strerror or error})") from error


def flush(path: Path) -> None:
    """Bring a file's or folder's data to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_special(path: Path) -> bool:
    """Whether a path is that of a device or a pipe."""
    return path.exists() and not (path.is_file() or path.is_dir())


def _names(arrays: Dict[str, Any]) -> bytes:
    """What a file of arrays ends with: the number of their names, and each one's length and letters."""
    names = [name.encode() for name in arrays]
    return b"".join([struct.pack("=Q", len(names)), *(struct.pack("=Q", len(name)) + name for name in names)])


def _ends_with(path: Path, end: bytes) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - len(end)))
        return file.read() == end


def _ask_the_disk(path: Path) -> None:
    """Raise the OSError with which a file cannot be written further, which MXNet does not tell."""
    with open(path, "ab") as file:
        file.write(_SPARE)
