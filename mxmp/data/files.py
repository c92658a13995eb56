"""Text files, one sentence a line, read so that every mistake in them is named with its file and line."""
from __future__ import annotations

import gzip
import os
import re
import zlib
from functools import partial
from typing import Any, List, Union

from .corpus import Corpus, ParallelText, Text

PathLike = Union[str, "os.PathLike[str]"]
MAX_BYTES = 2 ** 31
"""Most bytes of a text, unpacked: what is larger does not end, or would not fit in memory as sentences."""
MAX_LINE_BYTES = 2 ** 20
"""Most bytes of a line, its end included."""
_MARK = "\ufeff"  # the byte order mark
_NO_TEXT = re.compile("[\0\r]")
_REMEDIES = {
    "\0": "a NUL character, as in UTF-16 or UTF-32; convert the text to UTF-8, for example with iconv",
    "\r": "a carriage return inside the line; end every line with LF or CR LF, for example with tr '\\r' '\\n'"}


def read_lines(path: PathLike, errors: str = "strict") -> List[str]:
    r"""Read a UTF-8 text file, plain or (with a name ending in ``.gz``) gzipped.

    Lines end at ``\n`` or ``\r\n`` and nowhere else: `str.splitlines` would also cut at characters such as U+2028 that
    occur inside sentences, and put the two languages out of step.

    Parameters
    ----------
    path : str or path
        The file.
    errors : str, default "strict"
        As of `read_stream`.

    Returns
    -------
    list of str
        The lines without their ends; byte order marks at their beginnings, as in files put behind each other, are
        dropped.

    Raises
    ------
    ValueError
        If the file is missing, empty, larger than `MAX_BYTES`, no text in UTF-8, a broken gzip file, or has a line
        larger than `MAX_LINE_BYTES`; one line that names the file and, where it is no text, the line.
    """
    opener = gzip.open if os.fspath(path).endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            lines = read_stream(file, os.fspath(path), errors)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip file ({error}); fetch or compress it again") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not lines:
        raise ValueError(f"{path}: the file is empty; one sentence a line is expected")
    return lines


def read_stream(file: Any, name: str, errors: str = "strict") -> List[str]:
    r"""Read UTF-8 text from an open file as `read_lines` does; no bytes are no lines.

    What never ends, or unpacks to more than any text has, is refused before it fills the memory.

    Parameters
    ----------
    file : binary file
        What to read to its end.
    name : str
        What errors call it.
    errors : str, default "strict"
        "strict" refuses what is not valid UTF-8; "replace" puts U+FFFD in its place, which ends no line.

    Returns
    -------
    list of str
        The lines without their ends.

    Raises
    ------
    ValueError
        If it is larger than `MAX_BYTES`, has a line larger than `MAX_LINE_BYTES`, is not valid UTF-8, or has a
        character that no line of text has: a NUL, or a carriage return that ends no line.
    """
    data = _read_bytes(file, name)
    try:
        text = data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name}:{line}: not valid UTF-8 (byte 0x{data[error.start]:02x}); "
                         "convert the text to UTF-8, for example with iconv") from error
    lines = [line.lstrip(_MARK) for line in text.split("\n")]
    if lines[-1] == "":
        lines.pop()
    lines = [line[:-1] if line.endswith("\r") else line for line in lines]
    for number, text in enumerate(lines, 1):
        found = _NO_TEXT.search(text)
        if found:
            raise ValueError(f"{name}:{number}: {_REMEDIES[found.group()]}")
    return lines


def _read_bytes(file: Any, name: str) -> bytes:
    """All of a file, refused as soon as it, or the line that is being read, is too large."""
    lines, size = [], 0
    for number, line in enumerate(iter(partial(file.readline, MAX_LINE_BYTES + 1), b""), 1):
        size += len(line)
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"{name}:{number}: more than {MAX_LINE_BYTES} bytes in the line; one sentence a line is "
                             "expected")
        if size > MAX_BYTES:
            raise ValueError(f"{name}:{number}: more than {MAX_BYTES} bytes, unpacked; give the text in parts")
        lines.append(line)
    return b"".join(lines)


def read_pair(src_path: PathLike, tgt_path: PathLike) -> ParallelText:
    """Read two files whose lines are translations of each other.

    Parameters
    ----------
    src_path, tgt_path : str or path
        The two files, as for `read_lines`.

    Returns
    -------
    ParallelText
        One pair for every line.

    Raises
    ------
    ValueError
        As `read_lines`; or if the files have different numbers of lines.
    """
    src, tgt = read_lines(src_path), read_lines(tgt_path)
    if len(src) != len(tgt):
        longer = src_path if len(src) > len(tgt) else tgt_path
        raise ValueError(f"{src_path} has {len(src)} lines but {tgt_path} has {len(tgt)}: {longer}:"
                         f"{min(len(src), len(tgt)) + 1} is the first line without a partner")
    return ParallelText(src, tgt)


def load_files(train_src: PathLike, train_tgt: PathLike, valid_src: PathLike, valid_tgt: PathLike,
               test_src: PathLike, test_tgt: PathLike, src_lang: str = "src", tgt_lang: str = "tgt") -> Corpus:
    """Load a corpus of your own from six files, one sentence a line, plain or ``.gz``.

    Parameters
    ----------
    train_src, train_tgt, valid_src, valid_tgt, test_src, test_tgt : str or path
        The files of the three splits.
    src_lang : str, default "src"
        Name of the source language, for logs only.
    tgt_lang : str, default "tgt"
        Name of the target language.

    Returns
    -------
    Corpus
        With the name ``'files'``.

    Raises
    ------
    ValueError
        As `read_pair`.
    """
    return Corpus("files", src_lang, tgt_lang, train=read_pair(train_src, train_tgt),
                  valid=read_pair(valid_src, valid_tgt), test=read_pair(test_src, test_tgt))


def load_text(train: PathLike, valid: PathLike, test: PathLike) -> Text:
    """Load text of your own from three files, one sentence a line, plain or ``.gz``.

    Parameters
    ----------
    train, valid, test : str or path
        The files of the three splits.

    Returns
    -------
    Text
        With the name ``'files'``.

    Raises
    ------
    ValueError
        As `read_lines`; or if a file has nothing but blank lines.
    """
    return Text("files", *[read_lines(path) for path in (train, valid, test)])
