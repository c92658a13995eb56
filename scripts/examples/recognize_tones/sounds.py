"""Sound in which one symbol follows the other, generated, and its frames: tones and chords of varying length, loudness
and pitch, and the logarithms of their spectra."""
from __future__ import annotations

from typing import List, NamedTuple, Tuple

import numpy as np

RATE = 8000  # samples a second
WINDOW, HOP = 400, 240  # samples: 50 ms, every 30 ms
BINS = 60  # width of a frame: frequencies from 0 to 1180 Hz, RATE / WINDOW = 20 Hz apart
_MIDDLE, _SPREAD = 0.6, 0.95  # of the logarithms in generated sounds
_PITCHES = 300.0 * 2 ** (np.arange(6) / 3)  # Hz, 300 to 952, a third of an octave apart
_CHORDS = [(0, 2), (1, 3), (2, 4), (3, 5), (0, 4), (1, 5)]

# Frequencies of each symbol in Hz: the first six are single tones, the others chords of two of them. A letter for each.
TONES: List[Tuple[float, ...]] = [*((pitch,) for pitch in _PITCHES), *((_PITCHES[a], _PITCHES[b]) for a, b in _CHORDS)]
NAMES = "ABCDEFabcdef"


class Sound(NamedTuple):
    """A sequence of U symbols and how it sounds."""

    samples: np.ndarray  # (samples,) float64, `RATE` a second
    symbols: np.ndarray  # (U,) int, numbers in `TONES`
    spans: np.ndarray  # (U, 2) int, the first sample of each symbol and the one after its last


def generate(num_sounds: int, seed: int, split: int = 0, min_symbols: int = 3, max_symbols: int = 9) -> List[Sound]:
    """Draw sounds; the alignment of symbols and samples is known, but a recognizer need not be told. The ``seed`` fixes
    every number, each set (``split``) has random numbers of its own, and a sound does not depend on how many there are.

    Each symbol lasts 80 to 300 ms at a speed that is the sound's own, with a loudness of its own, slightly out of
    tune, and fades in and out. Symbols touch or have a gap between them; equal ones in succession always have a gap.
    Noise and a hum of random pitch lie under everything.
    """
    if num_sounds < 1:
        raise ValueError(f"generate needs at least 1 sound, got {num_sounds}")
    if not 1 <= min_symbols <= max_symbols:
        raise ValueError(f"a sound has 1 symbol or more, got min_symbols={min_symbols} and max_symbols={max_symbols}")
    return [_draw(np.random.RandomState([seed, split, i]), min_symbols, max_symbols) for i in range(num_sounds)]


def _draw(rng: np.random.RandomState, min_symbols: int, max_symbols: int) -> Sound:
    speed = rng.uniform(0.7, 1.4)
    symbols = _symbols(rng, rng.randint(min_symbols, max_symbols + 1))
    pieces, spans, at = [], [], 0
    for i, symbol in enumerate(symbols):
        again = i > 0 and symbols[i - 1] == symbol
        silent = int(RATE * (rng.uniform(0.07, 0.15) if again or rng.rand() < 0.5 or not i else 0.0) / speed)
        tone = _tone(rng, TONES[symbol], int(RATE * rng.uniform(0.08, 0.3) / speed))
        pieces += [np.zeros(silent), tone]
        spans.append((at + silent, at + silent + len(tone)))
        at += silent + len(tone)
    pieces.append(np.zeros(int(RATE * rng.uniform(0.05, 0.15))))
    clean = np.concatenate(pieces)
    return Sound(clean + _disturbance(rng, len(clean)), symbols, np.array(spans))


def _symbols(rng: np.random.RandomState, length: int) -> np.ndarray:
    """Random symbols, one in four of which repeats the one before."""
    drawn = rng.randint(0, len(TONES), size=length)
    for i in range(1, length):
        if rng.rand() < 0.25:
            drawn[i] = drawn[i - 1]
    return drawn


def _tone(rng: np.random.RandomState, pitches: Tuple[float, ...], length: int) -> np.ndarray:
    """One symbol's samples, (length,): waves that fade in and out."""
    seconds = np.arange(length) / RATE
    out_of_tune = np.exp(rng.normal(0, 0.015)) * (1 + 0.02 * np.sin(2 * np.pi * 6 * seconds + rng.uniform(0, 6)))
    loudness = np.exp(rng.uniform(np.log(0.15), 0))
    waves = sum(rng.uniform(0.5, 1) * np.sin(2 * np.pi * np.cumsum(pitch * out_of_tune) / RATE + rng.uniform(0, 6))
                for pitch in pitches)
    ramp = np.minimum(np.arange(length) + 1, length - np.arange(length)) / (0.015 * RATE)
    return loudness * np.minimum(ramp, 1) * waves


def _disturbance(rng: np.random.RandomState, length: int) -> np.ndarray:
    """White noise and a hum, each of a loudness of its own, (length,)."""
    noise = rng.uniform(0.04, 0.3) * rng.normal(size=length)
    hum = rng.uniform(0, 0.2) * np.sin(2 * np.pi * rng.uniform(200, 1200) * np.arange(length) / RATE)
    return noise + hum


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Frames of a sound, (T, BINS) float32, T = 1 + (samples - WINDOW) // HOP: ``log(0.1 + |FFT|)`` of windows with a
    Hann taper, shifted and scaled to a mean of about 0 and a deviation of about 1."""
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
