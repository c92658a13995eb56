"""From a corpus of text to encoded pairs, once: the result is cached."""
from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Union

from . import cache
from .cache import Pairs
from .corpus import Corpus, ParallelText
from .subwords import Subwords

__all__ = ["Prepared", "Pairs", "prepare"]

_log = logging.getLogger(__name__)


@dataclass
class Prepared:
    """A corpus ready for batches.

    Parameters
    ----------
    corpus : Corpus
        The text, untouched: references of `valid` and `test` line by line.
    subwords : Subwords
        Learned from the training text that was kept.
    train, valid, test : list of (list of int, list of int)
        Source and target ids of each pair, without begin or end marks. `valid` and `test` have every line.
    dropped : dict of str to int
        Training pairs left out, under ``'empty'`` and ``'too_long'``.
    """

    corpus: Corpus
    subwords: Subwords
    train: Pairs
    valid: Pairs
    test: Pairs
    dropped: Dict[str, int]


def prepare(corpus: Corpus, vocab_size: int = 6000, joint: bool = True, max_length: int = 100,
            cache_dir: Optional[Union[str, os.PathLike[str]]] = None) -> Prepared:
    """Learn subwords from a corpus' training text and encode all of it.

    Parameters
    ----------
    corpus : Corpus
        The text.
    vocab_size : int
        Subwords, of each language if not `joint`.
    joint : bool
        One subword model for both languages, or one for each.
    max_length : int
        Training pairs with more subwords on a side are dropped, as are pairs with a blank side. Nothing is
        dropped from the validation and test text, whose scores are over all lines.
    cache_dir : str or path, optional
        Folder that keeps the result for the next call with the same text and options.

    Returns
    -------
    Prepared

    Raises
    ------
    ValueError
        If `vocab_size` is too small for the text, or no training pair is left.
    """
    options = {"vocab_size": vocab_size, "joint": joint, "max_length": max_length}
    path = None if cache_dir is None else Path(cache_dir) / f"prepared-{cache.key(corpus, options)}.npz"
    entry = None if path is None else cache.read(path)
    if entry is None:
        entry = _encode(corpus, vocab_size, joint, max_length)
        if path is not None:
            cache.write(path, entry)
    prepared = Prepared(corpus, Subwords(*entry.models), entry.train, entry.valid, entry.test, entry.dropped)
    _log.info("%s %s-%s: %d train, %d valid, %d test pairs; dropped from train: %d empty, %d with more than "
              "%d subwords", corpus.name, corpus.src_lang, corpus.tgt_lang, len(prepared.train),
              len(prepared.valid), len(prepared.test), prepared.dropped["empty"],
              prepared.dropped["too_long"], max_length)
    return prepared


def _encode(corpus: Corpus, vocab_size: int, joint: bool, max_length: int) -> cache.Entry:
    kept = [(src, tgt) for src, tgt in zip(corpus.train.src, corpus.train.tgt) if src.strip() and tgt.strip()]
    text = ParallelText([src for src, _ in kept], [tgt for _, tgt in kept])
    subwords = Subwords.train(text, vocab_size, joint)
    pairs = _encode_text(text, subwords)
    train = [(src, tgt) for src, tgt in pairs if max(len(src), len(tgt)) <= max_length]
    if not train:
        raise ValueError(f"none of {len(corpus.train)} training pairs has at most max_length={max_length} "
                         "subwords on each side; raise max_length")
    dropped = {"empty": len(corpus.train) - len(kept), "too_long": len(pairs) - len(train)}
    return cache.Entry(subwords.models, train, _encode_text(corpus.valid, subwords),
                       _encode_text(corpus.test, subwords), dropped)


def _encode_text(text: ParallelText, subwords: Subwords) -> Pairs:
    return list(zip(subwords.encode_src(text.src), subwords.encode_tgt(text.tgt)))
