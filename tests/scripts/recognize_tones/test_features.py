"""Frames against a transform written out, and their alignment."""
import numpy as np
import pytest
from recognize_tones.features import BINS, HOP, WINDOW, frame_symbols, spectrogram
from recognize_tones.generate import RATE, Sound, generate


def test_frames_are_logarithms_of_a_fourier_transform():
    samples = np.random.RandomState(0).normal(size=WINDOW + 2 * HOP + 7)
    frames = spectrogram(samples)
    assert frames.shape == (3, BINS) and frames.dtype == np.float32
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    for t in range(3):
        part = samples[t * HOP:t * HOP + WINDOW] * taper
        for k in (0, 7, BINS - 1):
            size = abs(np.sum(part * np.exp(-2j * np.pi * k * np.arange(WINDOW) / WINDOW)))
            assert frames[t, k] == pytest.approx((np.log(0.1 + size) - 0.6) / 0.95, abs=1e-5)


def test_a_tone_is_where_its_pitch_is():
    samples = np.sin(2 * np.pi * 600 * np.arange(4000) / RATE)
    assert (spectrogram(samples).argmax(axis=1) == 600 * WINDOW // RATE).all()


def test_frames_have_about_mean_0_and_deviation_1():
    frames = np.concatenate([spectrogram(sound.samples) for sound in generate(100, 5)])
    assert abs(frames.mean()) < 0.1 and abs(frames.std() - 1) < 0.1


def test_each_frame_has_the_symbol_that_sounds_in_its_middle():
    spans = np.array([[300, 900], [900, 1500]])
    sound = Sound(np.zeros(WINDOW + 8 * HOP), np.array([4, 2]), spans)
    middles = [WINDOW // 2 + HOP * t for t in range(9)]
    expected = [4 if 300 <= m < 900 else 2 if 900 <= m < 1500 else 12 for m in middles]
    assert frame_symbols(sound, 12).tolist() == expected and {2, 4, 12} == set(expected)


def test_a_sound_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="399 samples is shorter than one window of 400"):
        spectrogram(np.zeros(399))
