"""From a network's frames to symbols: best path and prefix beam search."""
from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

Prefix = Tuple[int, ...]
Ends = List[float]  # logarithms of the probabilities: of paths that end in a blank, and in the last symbol


def collapse(path: Sequence[int], blank: int) -> List[int]:
    """The symbols that a ``path`` of frames stands for: repetitions merged, then each ``blank`` left out.

    Graves et al. 2006, "Connectionist Temporal Classification", section 3.1.
    """
    return [int(symbol) for i, symbol in enumerate(path) if symbol != blank and (i == 0 or path[i - 1] != symbol)]


def best_path(log_probs: np.ndarray) -> List[int]:
    """The symbols of the most probable path of one sequence's own frames (T, C); the last class is the blank. Fast, but
    other symbols may be more probable over all of their paths (Graves et al. 2006, section 3.2)."""
    return collapse(log_probs.argmax(axis=1).tolist(), log_probs.shape[1] - 1)


def prefix_beam(log_probs: np.ndarray, beam_size: int = 8) -> List[Tuple[List[int], float]]:
    """The most probable symbols over all of their paths, the most probable first, each with the logarithm of the
    probability of all paths that were kept; by beam search over prefixes, of which ``beam_size`` outlive each frame.

    Of each prefix two probabilities are kept: of its paths that end in a blank, and of those that end in its last
    symbol, which a repetition prolongs (Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech
    Recognition using Bi-Directional Recurrent DNNs", algorithm 1, without a language model).
    """
    if beam_size < 1:
        raise ValueError(f"beam_size must be at least 1, got {beam_size}")
    beam: Dict[Prefix, Ends] = {(): [0.0, -np.inf]}
    for frame in log_probs:
        grown = _grow(beam, frame.tolist())
        beam = dict(sorted(grown.items(), key=lambda item: -_either(item[1]))[:beam_size])
    return [(list(prefix), _either(ends)) for prefix, ends in beam.items()]


def _either(ends: Ends) -> float:
    return float(np.logaddexp(ends[0], ends[1]))


def _grow(beam: Dict[Prefix, Ends], frame: List[float]) -> Dict[Prefix, Ends]:
    """All prefixes one frame later."""
    grown: Dict[Prefix, Ends] = {}

    def add(prefix: Prefix, end: int, log_prob: float) -> None:
        ends = grown.setdefault(prefix, [-np.inf, -np.inf])
        ends[end] = np.logaddexp(ends[end], log_prob)

    for prefix, ends in beam.items():
        (blank, symbol), either = ends, _either(ends)
        add(prefix, 0, either + frame[-1])
        for new, log_prob in enumerate(frame[:-1]):
            if prefix and prefix[-1] == new:
                add(prefix, 1, symbol + log_prob)  # the same symbol goes on
                add((*prefix, new), 1, blank + log_prob)  # only a blank parts two of a kind
            else:
                add((*prefix, new), 1, either + log_prob)
    return grown
