"""Samples, and batches of them that are padded with little waste, in an order that is a function of seed and epoch."""
from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Sequence

import mxnet as mx
import numpy as np
from gluonnlp.data import batchify

from mxmp.data import bucket_batches, prefetch

from .sounds import TONES, Sound, frame_symbols, generate, spectrogram

_pad = batchify.Tuple(batchify.Pad(pad_val=0, ret_length=True, dtype="float32"),
                      batchify.Pad(pad_val=-1, ret_length=True, dtype="float32"))


class Sample(NamedTuple):
    """A sound of T frames and U symbols."""

    frames: np.ndarray  # (T, BINS) float32
    symbols: np.ndarray  # (U,) int, numbers in `TONES`
    aligned: np.ndarray  # (T,) int, the symbol of each frame, or the blank's number where it is silent


class Batch(NamedTuple):
    """N samples, padded to common lengths T and U. All arrays are float32, lengths too, as Gluon's CTCLoss wants."""

    frames: mx.nd.NDArray  # (N, T, BINS), 0 behind each sequence's end
    num_frames: mx.nd.NDArray  # (N,)
    symbols: mx.nd.NDArray  # (N, U), -1 behind each sequence's end
    num_symbols: mx.nd.NDArray  # (N,)


def make_splits(seed: int, num_sounds: int) -> Dict[str, List[Sample]]:
    """Samples to "train" on and, a tenth as many each, to "valid" and "test"; each has a stream of the ``seed``'s."""
    sizes = {"train": num_sounds, "valid": num_sounds // 10, "test": num_sounds // 10}
    return {name: [make_sample(sound) for sound in generate(size, seed, split)]
            for split, (name, size) in enumerate(sizes.items())}


def make_sample(sound: Sound) -> Sample:
    """A ``sound`` as frames, with its symbols. ValueError if the frames are too few for the symbols: between two of a
    kind a path needs a blank, and without any path MXNet's CTCLoss is 0, not infinite."""
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


def batches(samples: Sequence[Sample], batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """All samples once, in batches of similar lengths, which are made some steps ahead."""
    order = bucket_batches(np.array([len(sample.frames) for sample in samples]), batch_size, seed, epoch)
    return prefetch(make_batch, [[samples[i] for i in rows] for rows in order])
