"""Text files, one sentence a line, read so that every mistake in them is named with its file and line."""
from __future__ import annotations

import gzip
import os
import re
import zlib
from typing import List, Union

from .corpus import Corpus, ParallelText, Text

PathLike = Union[str, "os.PathLike[str]"]
_MARK = "\ufeff"  # the byte order mark
_NO_TEXT = re.compile("[\0\r]")
_REMEDIES = {
    "\0": "a NUL character, as in UTF-16 or UTF-32; convert the text to UTF-8, for example with iconv",
    "\r": "a carriage return inside the line; end every line with LF or CR LF, for example with tr '\\r' '\\n'"}


def read_lines(path: PathLike) -> List[str]:
    r"""Read a UTF-8 text file, plain or (with a name ending in ``.gz``) gzipped.

    Lines end at ``\n`` or ``\r\n`` and nowhere else: `str.splitlines` would also cut at characters such as U+2028 that
    occur inside sentences, and put the two languages out of step.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    list of str
        The lines without their ends; byte order marks at their beginnings, as in files put behind each other, are
        dropped.

    Raises
    ------
    ValueError
        If the file is missing, empty, no text in UTF-8 or a broken gzip file; one line that names the file and, where
        it is no text, the line.
    """
    lines = decode_lines(_read_bytes(path), os.fspath(path))
    if not lines:
        raise ValueError(f"{path}: the file is empty; one sentence a line is expected")
    return lines


def decode_lines(data: bytes, name: str) -> List[str]:
    r"""Split UTF-8 text into lines as `read_lines` does; no bytes are no lines.

    Parameters
    ----------
    data : bytes
        The text.
    name : str
        What errors call it.

    Returns
    -------
    list of str
        The lines without their ends.

    Raises
    ------
    ValueError
        If it is not valid UTF-8, or has a character that no line of text has: a NUL, or a carriage return that ends no
        line.
    """
    try:
        text = data.decode("utf-8")
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


def _read_bytes(path: PathLike) -> bytes:
    opener = gzip.open if os.fspath(path).endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip file ({error}); fetch or compress it again") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from error


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
