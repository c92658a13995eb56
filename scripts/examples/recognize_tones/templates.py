"""What the network must beat: the nearest template of each frame, told the alignment of symbols and frames."""
from __future__ import annotations

from itertools import groupby
from typing import List, Sequence

import numpy as np

from .batches import Sample
from .decoding import collapse
from .scoring import token_error_rate

_LONGEST = 6  # frames of a run that may still be taken for an error


class Templates:
    """The mean frame of each symbol and, last, of silence (``means``), and a rule that turns frames into symbols.

    Each frame gets the symbol of the nearest mean; runs of less than ``shortest`` frames are left out, and of the
    others repetitions are merged and silence is dropped. Unlike the network this learns from the true alignment. The
    shortest run, and whether each frame's own mean is taken off it first (``centred``, so that loudness counts less),
    are those with the lowest token error rate on the samples ``valid``.
    """

    def __init__(self, train: Sequence[Sample], valid: Sequence[Sample], num_symbols: int) -> None:
        self._silence = num_symbols
        frames, aligned = (np.concatenate(arrays) for arrays in zip(*((s.frames, s.aligned) for s in train)))
        choices = []
        for self.centred in (False, True):
            prepared = self._prepared(frames)
            self.means = np.stack([prepared[aligned == symbol].mean(axis=0) for symbol in range(num_symbols + 1)])
            for self.shortest in range(1, _LONGEST + 1):
                rate = token_error_rate([self(s.frames) for s in valid], [s.symbols for s in valid])
                choices.append((rate, self.centred, self.shortest, self.means))
        _, self.centred, self.shortest, self.means = min(choices, key=lambda choice: choice[0])

    def __call__(self, frames: np.ndarray) -> List[int]:
        """The symbols of ``frames`` (T, BINS)."""
        runs = [(symbol, len(list(run))) for symbol, run in groupby(self.nearest(frames).tolist())]
        return collapse([symbol for symbol, length in runs if length >= self.shortest], self._silence)

    def nearest(self, frames: np.ndarray) -> np.ndarray:
        """The symbol of each of ``frames`` (T, BINS) or, one higher than the last symbol, silence; (T,) int."""
        distances = np.square(self._prepared(frames)[:, None] - self.means).sum(axis=2)  # (T, num_symbols + 1)
        return distances.argmin(axis=1)

    def _prepared(self, frames: np.ndarray) -> np.ndarray:
        return frames - frames.mean(axis=1, keepdims=True) if self.centred else frames
