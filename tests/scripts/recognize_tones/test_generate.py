"""The generated sounds: the same for the same seed, aligned as they say, repeated symbols parted."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recognize_tones.generate import NAMES, RATE, TONES, generate


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
    found = {}
    for sound in generate(200, 1):
        for symbol, (begin, end) in zip(sound.symbols, sound.spans):
            power = np.square(np.abs(np.fft.rfft(sound.samples[begin:end], RATE)))  # one bin a hertz
            found.setdefault(symbol, []).append(power / power.sum())
    assert len(found) == len(TONES) == len(NAMES)
    for symbol, spectra in found.items():
        mean = np.mean(spectra, axis=0)
        for pitch in TONES[symbol]:
            near = mean[int(0.95 * pitch):int(1.05 * pitch)].max()
            assert near > 20 * np.median(mean[200:1200])


@pytest.mark.parametrize("wrong, message", [
    ({"num_sounds": 0}, "at least 1 sound, got 0"), ({"min_symbols": 0}, "got min_symbols=0"),
    ({"min_symbols": 5, "max_symbols": 4}, "min_symbols=5 and max_symbols=4")])
def test_impossible_sizes_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        generate(**{"num_sounds": 1, "seed": 1, **wrong})
