"""Sentences as one stream of tokens, cut into rows whose segments follow each other from step to step."""
from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Sequence

import mxnet as mx
import numpy as np

from ...data import prefetch


class Segment(NamedTuple):
    """N rows' next T tokens, on the CPU; what row n reads first is what it last had to predict before."""

    tokens: mx.nd.NDArray  # (N, T) int32, what the model reads
    labels: mx.nd.NDArray  # (N, T) int32, the token after each
    valid_length: mx.nd.NDArray  # (N,) int32, how many labels of each row count
    num_tokens: int  # labels that count


class TrainingStream:
    """All sentences, each with an end mark, as ``batch_size`` rows of a whole number of segments of ``bptt`` steps.

    Sentences are token numbers without the ``end`` mark, which also precedes the first. A row goes on where its segment
    before ended, so that recurrent states can be carried from one to the next (truncated back-propagation through
    time). What is left over at the end of the stream, fewer than ``batch_size * bptt`` tokens, is left out. The
    ``seed`` draws the order of the sentences, another one for each epoch; without ``shuffle`` they stay as they are,
    for text that runs on from line to line.
    """

    def __init__(self, sentences: Sequence[Sequence[int]], end: int, batch_size: int, bptt: int,
                 seed: int = 0, shuffle: bool = True) -> None:
        self._sentences = [np.array([*sentence, end], np.int32) for sentence in sentences]
        self._end, self._rows, self._bptt = end, batch_size, bptt
        self._seed, self._shuffle = seed, shuffle
        tokens = sum(map(len, self._sentences))
        self._segments = tokens // (batch_size * bptt)
        if not self._segments:
            raise ValueError(f"{tokens} tokens of training text are fewer than --batch_size {batch_size} x --bptt "
                             f"{bptt}; lower one of them")

    def __len__(self) -> int:
        """Number of segments of an epoch, the same for all."""
        return self._segments

    def epoch(self, k: int, start: int = 0) -> Iterator[Segment]:
        """The segments of epoch ``k`` (from 0) without the first ``start``."""
        rows = self._stream(k)
        return prefetch(lambda i: _segment(rows, i * self._bptt, self._bptt), range(start, len(self)))

    def _stream(self, k: int) -> np.ndarray:
        """Rows (N, segments x T + 1) of the stream; each begins with the token that the one before ends with."""
        order = np.random.RandomState([self._seed, k]).permutation(len(self._sentences)) if self._shuffle else \
            range(len(self._sentences))
        stream = np.concatenate([[self._end], *(self._sentences[i] for i in order)])
        length = self._segments * self._bptt
        return np.stack([stream[n * length:(n + 1) * length + 1] for n in range(self._rows)])


def evaluation_segments(sentences: Sequence[Sequence[int]], end: int, batch_size: int, bptt: int) -> List[Segment]:
    """Segments that have every token of the sentences, and every end mark, exactly once among their labels.

    Sentences, at least one, are token numbers without the ``end`` mark, which also precedes the first of each row. Rows
    begin at the beginning of a sentence; the shorter ones are padded, and their padding does not count. Each segment
    has ``bptt`` steps, the last one perhaps fewer.
    """
    sizes = np.array([len(sentence) + 1 for sentence in sentences])
    # a sentence goes to the row that its first token would be in if rows were cut anywhere
    row_of = (np.cumsum(sizes) - sizes) * batch_size // sizes.sum()
    rows = [[end] + [token for i in np.flatnonzero(row_of == n) for token in (*sentences[i], end)]
            for n in range(batch_size)]
    lengths = np.array([len(row) - 1 for row in rows])
    padded = np.full((batch_size, lengths.max() + 1), end, np.int32)
    for padding, row in zip(padded, rows):
        padding[:len(row)] = row
    return [_segment(padded, begin, bptt, lengths) for begin in range(0, int(lengths.max()), bptt)]


def _segment(rows: np.ndarray, begin: int, bptt: int, lengths: Optional[np.ndarray] = None) -> Segment:
    stop = min(begin + bptt, rows.shape[1] - 1)
    valid = np.full(len(rows), stop - begin) if lengths is None else np.clip(lengths - begin, 0, stop - begin)
    tokens, labels, valid_length = (mx.nd.array(array, dtype="int32") for array in (
        rows[:, begin:stop], rows[:, begin + 1:stop + 1], valid))
    return Segment(tokens, labels, valid_length, int(valid.sum()))
