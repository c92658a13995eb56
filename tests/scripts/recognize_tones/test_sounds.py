"""The generated sounds: the same for the same seed, aligned as they say, repeated symbols parted; their frames against
a transform written out."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recognize_tones.sounds import (
    BINS,
    HOP,
    NAMES,
    RATE,
    TONES,
    WINDOW,
    Sound,
    frame_symbols,
    generate,
    spectrogram,
)


def test_the_same_seed_gives_the_same_sounds_and_another_split_others():
    one, again, other = generate(3, 7), generate(3, 7), generate(3, 7, split=1)
    for first, second, third in zip(one, again, other):
        np.testing.assert_array_equal(first.samples, second.samples)
        np.testing.assert_array_equal(first.symbols, second.symbols)
        assert len(first.samples) != len(third.samples) or not np.isclose(first.samples, third.samples).any()


def test_a_sound_does_not_depend_on_how_many_there_are():
    for short, long in zip(generate(2, 7), generate(5, 7)):
        np.testing.assert_array_equal(short.samples, long.samples)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(0, 6))
def test_spans_are_in_order_and_long_enough_and_repetitions_are_parted(seed, least, more):
    for sound in generate(3, seed, min_symbols=least, max_symbols=least + more):
        assert least <= len(sound.symbols) <= least + more and len(sound.spans) == len(sound.symbols)
        assert ((0 <= sound.symbols) & (sound.symbols < len(TONES))).all()
        begins, ends = sound.spans.T
        lengths, gaps = (ends - begins) / RATE, (begins[1:] - ends[:-1]) / RATE
        assert (lengths > 0.08 / 1.4 - 0.001).all() and (lengths < 0.3 / 0.7 + 0.001).all()
        assert (gaps >= 0).all() and begins[0] > 0 and ends[-1] < len(sound.samples)
        assert (gaps[sound.symbols[1:] == sound.symbols[:-1]] > 0.07 / 1.4 - 0.001).all()


def test_lengths_loudness_and_gaps_vary_and_symbols_repeat():
    sounds = generate(100, 1)
    lengths = np.concatenate([np.diff(sound.spans)[:, 0] for sound in sounds])
    assert lengths.max() > 4 * lengths.min() and len({len(sound.symbols) for sound in sounds}) == 7
    gaps = np.concatenate([sound.spans[1:, 0] - sound.spans[:-1, 1] for sound in sounds])
    again = np.concatenate([sound.symbols[1:] == sound.symbols[:-1] for sound in sounds])
    assert 0.2 < again.mean() < 0.5 and (gaps == 0).mean() > 0.2


def test_a_symbol_sounds_at_its_own_pitches():
    spectra = {}
    for sound in generate(200, 1):
        for symbol, (begin, end) in zip(sound.symbols, sound.spans):
            power = np.square(np.abs(np.fft.rfft(sound.samples[begin:end], RATE)))  # one bin a hertz
            spectra.setdefault(symbol, []).append(power / power.sum())
    assert len(spectra) == len(TONES) == len(NAMES)
    for symbol, powers in spectra.items():
        mean = np.mean(powers, axis=0)
        for pitch in TONES[symbol]:
            near = mean[int(0.95 * pitch):int(1.05 * pitch)].max()
            assert near > 20 * np.median(mean[200:1200])


@pytest.mark.parametrize("wrong, message", [
    ({"num_sounds": 0}, "at least 1 sound, got 0"), ({"min_symbols": 0}, "got min_symbols=0"),
    ({"min_symbols": 5, "max_symbols": 4}, "min_symbols=5 and max_symbols=4")])
def test_impossible_sizes_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        generate(**{"num_sounds": 1, "seed": 1, **wrong})


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
