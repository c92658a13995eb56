"""From a corpus of text to encoded pairs, once: the result is cached, one npz file for each corpus and options."""
from __future__ import annotations

import hashlib
import json
import logging
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import sentencepiece

from ..writing import write_aside
from .corpus import Corpus, ParallelText, is_blank
from .files import PathLike
from .subwords import Subwords

# Raise it when a cached file's contents, or what goes into them, change their meaning.
_FORMAT = 3
_SPLITS = ("train", "valid", "test")
_log = logging.getLogger(__name__)

Pairs = List[Tuple[List[int], List[int]]]
"""Source and target ids of each pair, without begin or end marks."""


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
            cache_dir: Optional[PathLike] = None) -> Prepared:
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
        Training pairs with more subwords on a side are dropped, as are pairs with a blank side. Nothing is dropped
        from the validation and test text, whose scores are over all lines.
    cache_dir : str or path, optional
        Folder that keeps the result for the next call with the same text and options.

    Returns
    -------
    Prepared
        The encoded corpus and its subwords.

    Raises
    ------
    ValueError
        If `vocab_size` is too small for the text, or no training pair is left.
    """
    options = {"vocab_size": vocab_size, "joint": joint, "max_length": max_length}
    path = None if cache_dir is None else Path(cache_dir) / f"prepared-{_cache_key(corpus, options)}.npz"
    prepared = None if path is None else _read(path, corpus)
    if prepared is None:
        prepared = _encode(corpus, vocab_size, joint, max_length)
        if path is not None:
            _write(path, prepared)
    _log.info("%s %s-%s: %d train, %d valid, %d test pairs; dropped from train: %d empty, %d with more than "
              "%d subwords", corpus.name, corpus.src_lang, corpus.tgt_lang, len(prepared.train), len(prepared.valid),
              len(prepared.test), prepared.dropped["empty"], prepared.dropped["too_long"], max_length)
    return prepared


def _encode(corpus: Corpus, vocab_size: int, joint: bool, max_length: int) -> Prepared:
    kept = [pair for pair in zip(corpus.train.src, corpus.train.tgt) if not any(map(is_blank, pair))]
    text = ParallelText([src for src, _ in kept], [tgt for _, tgt in kept])
    subwords = Subwords.train(text, vocab_size, joint)
    train, valid, test = [list(zip(subwords.encode_src(split.src), subwords.encode_tgt(split.tgt)))
                          for split in (text, corpus.valid, corpus.test)]
    short = [(src, tgt) for src, tgt in train if max(len(src), len(tgt)) <= max_length]
    if not short:
        raise ValueError(f"none of {len(corpus.train)} training pairs has at most max_length={max_length} "
                         "subwords on each side; raise max_length")
    dropped = {"empty": len(corpus.train) - len(kept), "too_long": len(train) - len(short)}
    return Prepared(corpus, subwords, short, valid, test, dropped)


def _cache_key(corpus: Corpus, options: Dict[str, Any]) -> str:
    """A hash over all of the corpus' text, the options and the versions that matter."""
    inputs = json.dumps([_FORMAT, sentencepiece.__version__, options, corpus.fingerprint], sort_keys=True)
    return hashlib.sha256(inputs.encode()).hexdigest()[:32]


def _write(path: Path, prepared: Prepared) -> None:
    arrays = {"dropped": np.frombuffer(json.dumps(prepared.dropped).encode(), np.uint8)}
    for side, model in zip(("src", "tgt"), prepared.subwords.models):
        arrays[f"model_{side}"] = np.frombuffer(model, np.uint8)
    for split in _SPLITS:
        sequences = [ids for pair in getattr(prepared, split) for ids in pair]
        arrays[f"{split}_lengths"] = np.array([len(ids) for ids in sequences], np.int32)
        arrays[f"{split}_ids"] = np.array([index for ids in sequences for index in ids], np.int32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(path) as partial, open(partial, "wb") as file:  # by its name, numpy would add another .npz to it
        np.savez_compressed(file, **arrays)


def _read(path: Path, corpus: Corpus) -> Optional[Prepared]:
    """What `_write` wrote; None if there is nothing, or, with a warning in the log, nothing that can be read."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            pairs = {split: _split_pairs(arrays[f"{split}_ids"], arrays[f"{split}_lengths"]) for split in _SPLITS}
            subwords = Subwords(arrays["model_src"].tobytes(), arrays["model_tgt"].tobytes())
            return Prepared(corpus, subwords, dropped=json.loads(arrays["dropped"].tobytes().decode()), **pairs)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        _log.warning("%s: damaged cache entry (%s); making it anew", path, error)
        return None


def _split_pairs(ids: np.ndarray, lengths: np.ndarray) -> Pairs:
    flat, ends = ids.tolist(), np.cumsum(lengths).tolist()
    sequences = [flat[end - length:end] for end, length in zip(ends, lengths.tolist())]
    return list(zip(sequences[::2], sequences[1::2]))
