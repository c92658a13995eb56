"""Samples, and batches of them that are padded with little waste, in an order that is a function of seed and epoch."""
from __future__ import annotations

from typing import Iterator, List, NamedTuple, Sequence

import mxnet as mx
import numpy as np
from gluonnlp.data import batchify

from mxmp.data.prefetch import prefetch

from .features import frame_symbols, spectrogram
from .generate import TONES, Sound

_POOL = 8  # batches that are sorted by length together
_pad = batchify.Tuple(batchify.Pad(pad_val=0, ret_length=True, dtype="float32"),
                      batchify.Pad(pad_val=-1, ret_length=True, dtype="float32"))


class Sample(NamedTuple):
    """A sound of T frames and U symbols.

    Attributes
    ----------
    frames : numpy.ndarray
        (T, BINS) float32.
    symbols : numpy.ndarray
        (U,) int, numbers in `TONES`.
    aligned : numpy.ndarray
        (T,) int, the symbol of each frame, or the blank's number where it is silent.
    """

    frames: np.ndarray
    symbols: np.ndarray
    aligned: np.ndarray


class Batch(NamedTuple):
    """N samples, padded to common lengths T and U. All arrays are float32, lengths too, as Gluon's CTCLoss wants.

    Attributes
    ----------
    frames : NDArray
        (N, T, BINS), 0 behind each sequence's end.
    num_frames : NDArray
        (N,).
    symbols : NDArray
        (N, U), -1 behind each sequence's end.
    num_symbols : NDArray
        (N,).
    """

    frames: mx.nd.NDArray
    num_frames: mx.nd.NDArray
    symbols: mx.nd.NDArray
    num_symbols: mx.nd.NDArray


def make_sample(sound: Sound) -> Sample:
    """A ``sound`` as frames, with its symbols.

    Raises
    ------
    ValueError
        If it has too few frames for its symbols: between two of a kind a path needs a blank, and without any path
        MXNet's CTCLoss is 0, not infinite.
    """
    frames, symbols = spectrogram(sound.samples), sound.symbols
    needed = len(symbols) + int((symbols[1:] == symbols[:-1]).sum())
    if len(frames) < needed:
        raise ValueError(f"{len(frames)} frames are too few for {len(symbols)} symbols, which need {needed}")
    return Sample(frames, symbols, frame_symbols(sound, len(TONES)))


def make_batch(samples: Sequence[Sample]) -> Batch:
    """A batch of ``samples``, padded; every array is new."""
    (frames, num_frames), (symbols, num_symbols) = _pad([(s.frames, s.symbols) for s in samples])
    arrays = (frames, num_frames, symbols, num_symbols)
    return Batch(*(array.as_in_context(mx.cpu()).astype("float32", copy=False) for array in arrays))


def epoch(samples: Sequence[Sample], batch_size: int, seed: int, number: int, start: int = 0) -> Iterator[Batch]:
    """All samples once, in batches of similar lengths; batches are made some steps ahead.

    Parameters
    ----------
    samples : sequence of Sample
        At least one.
    batch_size : int
        Samples of each batch but the last one.
    seed : int
        Of the run.
    number : int
        The epoch's; the order is a function of it and the seed.
    start : int
        Batches to leave out at the beginning.

    Returns
    -------
    iterator of Batch
        The batches.
    """
    order = shuffled([len(sample.frames) for sample in samples], batch_size, seed, number)
    return prefetch(make_batch, [[samples[i] for i in rows] for rows in order[start:]])


def shuffled(lengths: Sequence[int], batch_size: int, seed: int, number: int) -> List[List[int]]:
    """The positions of the samples of each batch, in an order that ``seed`` and the epoch's ``number`` decide.

    All samples are shuffled; pools of some batches are sorted by ``lengths`` and cut into batches of ``batch_size``;
    batches are shuffled.
    """
    rng = np.random.RandomState([seed, number])
    order, found = rng.permutation(len(lengths)).tolist(), []
    for begin in range(0, len(order), _POOL * batch_size):
        pool = sorted(order[begin:begin + _POOL * batch_size], key=lambda i: lengths[i])
        found += [pool[i:i + batch_size] for i in range(0, len(pool), batch_size)]
    return [found[i] for i in rng.permutation(len(found))]
