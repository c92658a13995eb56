"""Text of one language in three splits, for language models."""
from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import List, Sequence, Tuple, Union

from .files import read_lines

__all__ = ["Text", "load_text", "split_lines"]

PathLike = Union[str, "os.PathLike[str]"]


@dataclass
class Text:
    """A named text, one sentence a line.

    Parameters
    ----------
    name : str
        Short name for logs.
    train, valid, test : list of str
        The three splits; blank lines are left out.

    Raises
    ------
    ValueError
        If a split has no line.
    """

    name: str
    train: List[str]
    valid: List[str]
    test: List[str]

    def __post_init__(self) -> None:
        for split in ("train", "valid", "test"):
            lines = [line for line in getattr(self, split) if line.strip()]
            if not lines:
                raise ValueError(f"{self.name}: no line is left for the {split} text; give more text, or files for "
                                 "each of the three splits")
            setattr(self, split, lines)

    @property
    def fingerprint(self) -> str:
        """Hexadecimal hash over all of the text, 32 digits."""
        return hashlib.sha256(json.dumps([self.train, self.valid, self.test]).encode()).hexdigest()[:32]


def split_lines(lines: Sequence[str], share: float = 0.025) -> Tuple[List[str], List[str], List[str]]:
    """Split lines into training, validation and test lines by a hash of each line.

    A line's split depends on nothing but the line: the same line is always in the same split, wherever and however
    often it occurs, and stays there when the text grows. Lines keep their order.

    Parameters
    ----------
    lines : sequence of str
        To be split.
    share : float, default 0.025
        Share of different lines that the validation and the test text have each, on average.

    Returns
    -------
    train, valid, test : list of str
        The lines of each split.
    """
    splits: Tuple[List[str], List[str], List[str]] = [], [], []
    for line in lines:
        place = int.from_bytes(line_hash(line)[:8], "big") / 2 ** 64
        splits[2 if place < share else 1 if place < 2 * share else 0].append(line)
    return splits


def line_hash(line: str) -> bytes:
    """SHA-256 of a line's UTF-8 bytes."""
    return hashlib.sha256(line.encode("utf-8")).digest()


def load_text(train: PathLike, valid: PathLike, test: PathLike) -> Text:
    """Load text of your own from three files, one sentence a line, plain or ``.gz``.

    Parameters
    ----------
    train, valid, test : str or path
        The files of the three splits.

    Returns
    -------
    Text
        Its name is "files".

    Raises
    ------
    ValueError
        As `read_lines`; or if a file has nothing but blank lines.
    """
    return Text("files", *[read_lines(path) for path in (train, valid, test)])
