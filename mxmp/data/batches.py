"""Batches of sentence pairs, or of source sentences alone, padded to a common length."""
from __future__ import annotations

from functools import partial
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from gluonnlp.data import batchify

from .bucketing import bucket_batches, limit_positions
from .prefetch import prefetch
from .subwords import BOS_ID, EOS_ID, PAD_ID


class Batch(NamedTuple):
    """N sentence pairs, padded to common lengths S and T; longest source first. All arrays int32 on the CPU.

    Every array is new, so a batch may be given to a recorded graph as it is. The two counts are Python numbers known
    without waiting for any array.

    Attributes
    ----------
    src : NDArray
        (N, S) source ids, each sentence ending with `EOS_ID`, then `PAD_ID`.
    src_len : NDArray
        (N,) lengths with the `EOS_ID`.
    tgt_in : NDArray
        (N, T) what the decoder reads: `BOS_ID` and the target ids.
    tgt_out : NDArray
        (N, T) what it is to say: the target ids and `EOS_ID`.
    tgt_len : NDArray
        (N,) lengths of either.
    num_tokens : int
        Target positions without padding.
    num_words : int
        Source and target positions without padding.
    """

    src: mx.nd.NDArray
    src_len: mx.nd.NDArray
    tgt_in: mx.nd.NDArray
    tgt_out: mx.nd.NDArray
    tgt_len: mx.nd.NDArray
    num_tokens: int
    num_words: int


class BatchLoader:
    """Cuts sentence pairs into batches with little padding, differently in each epoch: as `bucket_batches` does.

    Parameters
    ----------
    pairs : list of (list of int, list of int)
        Source and target ids without begin or end marks.
    batch_size : int
        Sentence pairs a batch.
    num_buckets : int
        Upper bound of the number of buckets: more mean less padding and less mixing.
    seed : int
        Seed of the shuffling, at least 0.
    shuffle : bool
        False gives the same batches in every epoch, long ones first.
    max_positions : int, optional
        Most positions of a batch on a side, padding included; a longer pair is a batch of its own. It may cut batches
        into smaller ones, and so is for evaluation.

    Raises
    ------
    ValueError
        If there are no pairs, or a size is not positive.
    """

    def __init__(self, pairs: Sequence[Tuple[List[int], List[int]]], batch_size: int,
                 num_buckets: int = 100, seed: int = 0, shuffle: bool = True,
                 max_positions: Optional[int] = None) -> None:
        self._src = [np.array([*src, EOS_ID], np.int32) for src, _ in pairs]
        self._tgt = [np.array([BOS_ID, *tgt, EOS_ID], np.int32) for _, tgt in pairs]
        self._lengths = np.array([(len(src) + 1, len(tgt) + 1) for src, tgt in pairs], np.int32)  # (I, 2)
        self._bucketed = partial(bucket_batches, self._lengths, batch_size, seed, shuffle=shuffle,
                                 num_buckets=num_buckets)
        self._max_positions = max_positions
        self._num_batches = len(self._order(epoch=0))

    def __len__(self) -> int:
        """Number of batches of an epoch, the same for all."""
        return self._num_batches

    @property
    def padding_share(self) -> float:
        """Share of the source and target positions of epoch 0 that are padding, from 0 to 1."""
        positions = sum(len(batch) * int(self._lengths[batch].max(axis=0).sum()) for batch in self._order(epoch=0))
        return 1.0 - int(self._lengths.sum()) / positions

    def epoch(self, k: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `k`, from 0, without the first `start`, as to go on after an interruption.

        They are made some steps ahead in a thread of their own. Nothing that was iterated before changes them.
        """
        return prefetch(self._make, self._order(epoch=k)[start:])

    def _order(self, epoch: int) -> List[List[int]]:
        return limit_positions(self._bucketed(epoch=epoch), self._lengths.max(axis=1), self._max_positions)

    def _make(self, indices: List[int]) -> Batch:
        lengths = self._lengths[indices]  # (N, 2)
        src_len, tgt_len = [mx.nd.array(column, mx.cpu(), "int32") for column in lengths.T]
        return Batch(_pad([self._src[i] for i in indices]), src_len, _pad([self._tgt[i][:-1] for i in indices]),
                     _pad([self._tgt[i][1:] for i in indices]), tgt_len,
                     num_tokens=int(lengths[:, 1].sum()), num_words=int(lengths.sum()))


class SourceLoader:
    """Batches of source sentences for translation, longest first.

    Iterating yields ``(indices, src, src_len)``: positions in `sentences` (list of int), by which the caller restores
    the order; ids with EOS_ID, padded, (N, S) int32; lengths with the EOS_ID, (N,) int32.

    Parameters
    ----------
    sentences : list of list of int
        Source ids without begin or end marks.
    batch_size : int
        Most sentences of a batch.
    max_positions : int, optional
        Most positions of a batch, padding included; a longer sentence is a batch of its own.

    Raises
    ------
    ValueError
        If `batch_size` is not positive.
    """

    def __init__(self, sentences: Sequence[List[int]], batch_size: int, max_positions: Optional[int] = None) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self._sentences = sentences
        lengths = np.array([len(sentence) + 1 for sentence in sentences], np.int32)
        order = np.argsort(-lengths, kind="stable").tolist()
        self._batches = limit_positions([order[begin:begin + batch_size] for begin in range(0, len(order), batch_size)],
                                        lengths, max_positions)

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Tuple[List[int], mx.nd.NDArray, mx.nd.NDArray]]:
        for indices in self._batches:
            src = [[*self._sentences[i], EOS_ID] for i in indices]
            yield indices, _pad(src), mx.nd.array(list(map(len, src)), mx.cpu(), "int32")


def _pad(sentences: List[Any]) -> mx.nd.NDArray:
    # batchify puts its arrays into memory shared between processes, a context of its own.
    return batchify.Pad(pad_val=PAD_ID, dtype="int32")(sentences).as_in_context(mx.cpu())  # (N, longest)
