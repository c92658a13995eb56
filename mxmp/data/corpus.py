"""Sentence pairs and the three splits of a translation corpus."""
from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import List

__all__ = ["Corpus", "ParallelText", "fingerprint"]


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
            raise ValueError(
                f"{len(self.src)} source sentences but {len(self.tgt)} target sentences; "
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


def fingerprint(corpus: Corpus) -> str:
    """The SHA-256 hash over all text of ``corpus``, its first 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for text in (corpus.train, corpus.valid, corpus.test):
        digest.update(json.dumps([text.src, text.tgt]).encode())  # JSON, so that no two texts give the same bytes
    return digest.hexdigest()[:32]
