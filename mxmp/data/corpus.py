"""Text in three splits: of one language, or sentence pairs of two."""
from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from typing import List, Sequence, Tuple

_UNSEEN = {"Zs", "Zl", "Zp", "Cc", "Cf"}  # Unicode's categories of spaces, controls and formats


def is_blank(line: str) -> bool:
    """Whether a line shows nothing: it has only spaces of any width, controls, and marks such as the zero-width space.

    It is what training leaves out, and what is translated to an empty line.

    Parameters
    ----------
    line : str
        The line.

    Returns
    -------
    bool
        Also True of an empty line.
    """
    return all(unicodedata.category(character) in _UNSEEN for character in line)


@dataclass
class ParallelText:
    """Sentences of two languages, aligned by position.

    Parameters
    ----------
    src : list of str
        Source sentences.
    tgt : list of str
        Their translations, in the same order.

    Raises
    ------
    ValueError
        If the two lists differ in length.
    """

    src: List[str]
    tgt: List[str]

    def __post_init__(self) -> None:
        if len(self.src) != len(self.tgt):
            raise ValueError(f"{len(self.src)} source sentences but {len(self.tgt)} target sentences; "
                             "every sentence needs exactly one partner")

    def __len__(self) -> int:
        return len(self.src)


@dataclass
class Corpus:
    """A named corpus: what to train on, what to choose the best model by, what to report.

    Parameters
    ----------
    name : str
        Short name for logs.
    src_lang, tgt_lang : str
        Language codes, such as ``'de'``.
    train, valid, test : ParallelText
        The three splits.
    """

    name: str
    src_lang: str
    tgt_lang: str
    train: ParallelText
    valid: ParallelText
    test: ParallelText

    @property
    def fingerprint(self) -> str:
        """The SHA-256 hash over all of the text, its first 32 hexadecimal digits."""
        return _fingerprint(*([text.src, text.tgt] for text in (self.train, self.valid, self.test)))


@dataclass
class Text:
    """A named text of one language, one sentence a line, as language models learn from.

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
            lines = [line for line in getattr(self, split) if not is_blank(line)]
            if not lines:
                raise ValueError(f"{self.name}: no line is left for the {split} text; give more text, or files for "
                                 "each of the three splits")
            setattr(self, split, lines)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 hash over all of the text, its first 32 hexadecimal digits."""
        return _fingerprint([self.train, self.valid, self.test])


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
        fraction = int.from_bytes(line_hash(line)[:8], "big") / 2 ** 64
        splits[2 if fraction < share else 1 if fraction < 2 * share else 0].append(line)
    return splits


def line_hash(line: str) -> bytes:
    """SHA-256 of a line's UTF-8 bytes."""
    return hashlib.sha256(line.encode("utf-8")).digest()


def _fingerprint(*texts: List[List[str]]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(json.dumps(text).encode())  # JSON, so that no two texts give the same bytes
    return digest.hexdigest()[:32]
