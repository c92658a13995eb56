"""The cache of encoded pairs: one npz file an entry, named by a hash of everything it was made from."""
from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import sentencepiece

from .corpus import Corpus, fingerprint

__all__ = ["Entry", "Pairs", "key", "read", "write"]

# Raise it when an entry's contents, or what goes into them, change their meaning.
_FORMAT = 1
_SPLITS = ("train", "valid", "test")
_log = logging.getLogger(__name__)

Pairs = List[Tuple[List[int], List[int]]]
"""Source and target ids of each pair, without begin or end marks."""


@dataclass
class Entry:
    """What is kept: serialized subword models, encoded pairs and counts of dropped ones."""

    models: List[bytes]
    train: Pairs
    valid: Pairs
    test: Pairs
    dropped: Dict[str, int]


def key(corpus: Corpus, options: Dict[str, Any]) -> str:
    """Hexadecimal hash over all of the corpus' text, the options and the versions that matter."""
    inputs = json.dumps([_FORMAT, sentencepiece.__version__, options, fingerprint(corpus)], sort_keys=True)
    return hashlib.sha256(inputs.encode()).hexdigest()[:32]


def write(path: Path, entry: Entry) -> None:
    """Write an entry; other processes see all of it or nothing."""
    arrays: Dict[str, np.ndarray] = {"dropped": np.frombuffer(json.dumps(entry.dropped).encode(), np.uint8)}
    for side, model in zip(("src", "tgt"), entry.models):
        arrays[f"model_{side}"] = np.frombuffer(model, np.uint8)
    for split in _SPLITS:
        sequences = [ids for pair in getattr(entry, split) for ids in pair]
        arrays[f"{split}_lengths"] = np.array([len(ids) for ids in sequences], np.int32)
        arrays[f"{split}_ids"] = np.array([index for ids in sequences for index in ids], np.int32)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(partial, path)
    finally:
        if partial.exists():
            partial.unlink()


def read(path: Path) -> Optional[Entry]:
    """Read an entry; None, with a warning in the log if it is damaged, when it must be made anew."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            pairs = {split: _pairs(arrays[f"{split}_ids"], arrays[f"{split}_lengths"]) for split in _SPLITS}
            return Entry(models=[arrays["model_src"].tobytes(), arrays["model_tgt"].tobytes()],
                         dropped=json.loads(arrays["dropped"].tobytes().decode()), **pairs)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        _log.warning("%s: damaged cache entry (%s); making it anew", path, error)
        return None


def _pairs(ids: np.ndarray, lengths: np.ndarray) -> Pairs:
    flat, ends = ids.tolist(), np.cumsum(lengths).tolist()
    sequences = [flat[end - length:end] for end, length in zip(ends, lengths.tolist())]
    return list(zip(sequences[::2], sequences[1::2]))
