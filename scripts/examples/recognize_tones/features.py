"""Sound as frames: the logarithm of a spectrogram's magnitudes."""
from __future__ import annotations

import numpy as np

from .generate import Sound

WINDOW, HOP = 400, 240  # samples: 50 ms, every 30 ms
_MIDDLE, _SPREAD = 0.6, 0.95  # of the logarithms in generated sounds
BINS = 60
"""Width of a frame: frequencies from 0 to 1180 Hz, `RATE` / `WINDOW` = 20 Hz apart."""


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Frames of a sound.

    Parameters
    ----------
    samples : numpy.ndarray
        (samples,), at least `WINDOW` of them, `RATE` a second.

    Returns
    -------
    numpy.ndarray
        (T, BINS) float32, ``log(0.1 + |FFT|)`` of windows with a Hann taper, shifted and scaled to a mean of about 0
        and a deviation of about 1; T = 1 + (samples - WINDOW) // HOP.

    Raises
    ------
    ValueError
        If the sound is shorter than one window.
    """
    if len(samples) < WINDOW:
        raise ValueError(f"a sound of {len(samples)} samples is shorter than one window of {WINDOW}")
    starts = np.arange(0, len(samples) - WINDOW + 1, HOP)
    windows = samples[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)  # (T, WINDOW)
    logs = np.log(0.1 + np.abs(np.fft.rfft(windows)[:, :BINS]))
    return ((logs - _MIDDLE) / _SPREAD).astype("float32")


def frame_symbols(sound: Sound, silence: int) -> np.ndarray:
    """The symbol of a ``sound`` in the middle of each frame, or the number ``silence``; (T,) int."""
    middles = np.arange(0, len(sound.samples) - WINDOW + 1, HOP) + WINDOW // 2
    inside = (middles[:, None] >= sound.spans[:, 0]) & (middles[:, None] < sound.spans[:, 1])  # (T, U)
    return np.where(inside.any(1), sound.symbols[inside.argmax(1)], silence)
