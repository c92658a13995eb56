"""Which sequences make a batch together: those of similar lengths, in other company in every epoch."""
from __future__ import annotations

from typing import List, Optional

import numpy as np


def bucket_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int, shuffle: bool = True,
                   num_buckets: int = 100) -> List[List[int]]:
    """Order an epoch: which sequences, by their positions in `lengths`, make up each of its batches.

    A bucket is shuffled and cut into batches. Were it a range of lengths, it would hold any number of sequences and
    leave one incomplete batch, down to a single sequence whose gradient then weighs as much as a full batch's. So it
    is as many neighbours in the order of lengths as some batches hold: at most one batch of an epoch is smaller. Where
    a sequence has two lengths, neighbours are similar in both.

    Parameters
    ----------
    lengths : numpy.ndarray
        (I,) or, of sources and targets, (I, 2) int.
    batch_size : int
        Sequences a batch.
    seed : int
        Seed of the shuffling, at least 0.
    epoch : int
        Number of the epoch, from 0. The order is a function of this and the arguments before; numpy's global
        generator is left alone.
    shuffle : bool
        False gives the same batches in every epoch, long ones first.
    num_buckets : int
        Upper bound of the number of buckets: more mean less padding and less mixing.

    Returns
    -------
    list of list of int
        Each batch's positions, longest (source) first.

    Raises
    ------
    ValueError
        If there are no lengths, or a size is not positive.
    """
    if not len(lengths):
        raise ValueError("no sentence pairs or other sequences to make batches of")
    if batch_size < 1 or num_buckets < 1:
        raise ValueError(f"batch_size={batch_size} and num_buckets={num_buckets} must be at least 1")
    rng = np.random.RandomState([seed, epoch if shuffle else 0])
    pairs = lengths.reshape(len(lengths), -1)  # (I, 1 or 2)
    num_batches = -(-len(pairs) // batch_size)
    buckets = _cut_buckets(pairs, -(-num_batches // num_buckets) * batch_size, rng)
    batches = [(bucket, begin) for bucket in reversed(buckets) for begin in range(0, len(bucket), batch_size)]
    if shuffle:
        rng.shuffle(batches)
        for bucket in buckets:
            rng.shuffle(bucket)
    keys = pairs.tolist()
    return [sorted(bucket[begin:begin + batch_size], key=keys.__getitem__, reverse=True) for bucket, begin in batches]


def limit_positions(batches: List[List[int]], lengths: np.ndarray, max_positions: Optional[int]) -> List[List[int]]:
    """Cut batches, in their order, into such of at most ``max_positions``, rows x the longest of ``lengths``, (I,) int;
    a longer sequence is alone. None is no limit."""
    if max_positions is None:
        return batches
    parts: List[List[int]] = []
    for batch in batches:
        parts.append([])
        longest = 0
        for index in batch:
            longest = max(longest, int(lengths[index]))
            if parts[-1] and longest * (len(parts[-1]) + 1) > max_positions:
                parts.append([])
                longest = int(lengths[index])
            parts[-1].append(index)
    return parts


def _cut_buckets(pairs: np.ndarray, bucket_size: int, rng: np.random.RandomState) -> List[List[int]]:
    """The positions in each bucket, short ones first: strips of similar target length, cut by source length."""
    src, tgt = pairs[:, 0], pairs[:, -1]
    num_buckets = -(-len(pairs) // bucket_size)
    strip_size = -(-num_buckets // round(num_buckets ** 0.5)) * bucket_size
    # Pairs of equal lengths come in random order, so that a bucket is not the same company every epoch.
    random = rng.permutation(len(pairs))
    strips = np.empty(len(pairs), int)
    strips[np.lexsort((random, src, tgt))] = np.arange(len(pairs)) // strip_size
    order = np.lexsort((random, tgt, src, strips)).tolist()
    return [sorted(order[begin:begin + bucket_size]) for begin in range(0, len(order), bucket_size)]
