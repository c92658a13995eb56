"""One sound: its spectrogram with the true symbols, and what the network and the decoders make of it."""
from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any, Dict

import numpy as np

from .batches import Sample
from .distance import Symbols
from .features import BINS, HOP, WINDOW
from .generate import NAMES, RATE, TONES


def draw(path: Path, sample: Sample, log_probs: np.ndarray, decoded: Dict[str, Symbols]) -> None:
    """Draw a sample's frames with the true symbols over them, and its posteriors under them.

    Parameters
    ----------
    path : Path
        The picture's file.
    sample : Sample
        The sound.
    log_probs : numpy.ndarray
        (T, C), the logarithms of its class probabilities; the last class is the blank.
    decoded : dict
        What each decoder found, by the decoder's name.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    seconds = (np.arange(len(sample.frames)) * HOP + WINDOW / 2) / RATE
    half = HOP / RATE / 2
    upper.imshow(sample.frames.T, origin="lower", aspect="auto", cmap="magma",
                 extent=(seconds[0] - half, seconds[-1] + half, 0, BINS * RATE / WINDOW))
    _name_spans(upper, sample, seconds, half)
    upper.set_ylabel("Hz")
    read: Dict[str, Symbols] = {"truth": sample.symbols, **decoded}
    upper.set_title("   ".join(f"{name}: {_text(symbols)}" for name, symbols in read.items()), fontsize=9,
                    family="monospace")
    probs = np.exp(log_probs)
    lower.plot(seconds, probs[:, -1], color="#bbbbbb", label="blank")
    for symbol in sorted(set(sample.symbols.tolist()) | set(log_probs.argmax(1).tolist()) - {len(TONES)}):
        lower.plot(seconds, probs[:, symbol], label=NAMES[symbol])
    lower.set_xlabel("seconds")
    lower.set_ylabel("probability")
    lower.legend(ncol=2, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=110)


def _name_spans(axes: Any, sample: Sample, seconds: np.ndarray, half: float) -> None:
    """A line under each symbol's time, and its name."""
    at = 0
    for symbol, run in groupby(sample.aligned.tolist()):
        end = at + len(list(run))
        if symbol != len(TONES):
            begin, last = seconds[at] - half, seconds[end - 1] + half
            axes.plot([begin, last], [1120, 1120], color="white", linewidth=2)
            axes.text((begin + last) / 2, 1060, NAMES[symbol], color="white", ha="center", va="center")
        at = end


def _text(symbols: Symbols) -> str:
    return "".join(NAMES[symbol] for symbol in symbols)
