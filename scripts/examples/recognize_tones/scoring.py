"""How far recognized symbols are from the true ones, and a picture of one sound with both."""
from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any, Dict, Sequence, Union

import numpy as np

from mxmp.writing import write_aside

from .batches import Sample
from .sounds import BINS, HOP, NAMES, RATE, TONES, WINDOW

Symbols = Union[Sequence[int], np.ndarray]


def edit_distance(hypothesis: Symbols, reference: Symbols) -> int:
    """The fewest insertions, deletions and substitutions that turn ``hypothesis`` into ``reference``.

    Levenshtein 1966, "Binary codes capable of correcting deletions, insertions, and reversals".
    """
    row = np.arange(len(reference) + 1)
    for i, symbol in enumerate(hypothesis, 1):
        before, row = row, np.empty_like(row)
        row[0] = i
        for j, true in enumerate(reference, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (symbol != true))
    return int(row[-1])


def token_error_rate(hypotheses: Sequence[Symbols], references: Sequence[Symbols]) -> float:
    """The edit distances of all ``hypotheses`` together, divided by the length of all ``references`` together."""
    total = sum(map(len, references))
    if len(hypotheses) != len(references) or not total:
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references of {total} symbols; give one "
                         "for each, and at least one symbol")
    return sum(map(edit_distance, hypotheses, references)) / total


def draw(path: Path, sample: Sample, log_probs: np.ndarray, decoded: Dict[str, Symbols]) -> None:
    """Draw a sample's frames with the true symbols over them and every decoder's in the title, and under them its
    posteriors, out of the logarithms of its class probabilities (T, C); the last class is the blank."""
    from matplotlib.figure import Figure  # takes half a second to load
    figure = Figure(figsize=(11, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    seconds = (np.arange(len(sample.frames)) * HOP + WINDOW / 2) / RATE
    half = HOP / RATE / 2
    upper.imshow(sample.frames.T, origin="lower", aspect="auto", cmap="magma",
                 extent=(seconds[0] - half, seconds[-1] + half, 0, BINS * RATE / WINDOW))
    _name_spans(upper, sample, seconds, half)
    upper.set_ylabel("Hz")
    readings: Dict[str, Symbols] = {"truth": sample.symbols, **decoded}
    upper.set_title("   ".join(f"{name}: {_text(symbols)}" for name, symbols in readings.items()), fontsize=9,
                    family="monospace")
    probs = np.exp(log_probs)
    lower.plot(seconds, probs[:, -1], color="#bbbbbb", label="blank")
    for symbol in sorted(set(sample.symbols.tolist()) | set(log_probs.argmax(1).tolist()) - {len(TONES)}):
        lower.plot(seconds, probs[:, symbol], label=NAMES[symbol])
    lower.set_xlabel("seconds")
    lower.set_ylabel("probability")
    lower.legend(ncol=2, loc="center left", bbox_to_anchor=(1, 0.5))
    with write_aside(path) as partial:
        figure.savefig(partial, dpi=110)


def _name_spans(axes: Any, sample: Sample, seconds: np.ndarray, half: float) -> None:
    """A line under each symbol's time, and its name."""
    at = 0
    for symbol, frames in groupby(sample.aligned.tolist()):
        end = at + len(list(frames))
        if symbol != len(TONES):
            begin, last = seconds[at] - half, seconds[end - 1] + half
            axes.plot([begin, last], [1120, 1120], color="white", linewidth=2)
            axes.text((begin + last) / 2, 1060, NAMES[symbol], color="white", ha="center", va="center")
        at = end


def _text(symbols: Symbols) -> str:
    return "".join(NAMES[symbol] for symbol in symbols)
