"""Batches: every sample once, padded as CTCLoss wants it, in an order that only seed and epoch decide; splits that
share no sound."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recognize_tones.batches import batches, make_batch, make_sample, make_splits, shuffled
from recognize_tones.sounds import BINS, HOP, WINDOW, Sound, generate


@pytest.fixture(scope="module")
def samples():
    return [make_sample(sound) for sound in generate(20, 1)]


def test_a_batch_is_padded_and_knows_its_lengths(samples):
    batch = make_batch(samples[:5])
    assert all(array.dtype == np.float32 and array.context.device_type == "cpu" for array in batch)
    frames, num_frames, symbols, num_symbols = (array.asnumpy() for array in batch)
    longest = max(len(s.frames) for s in samples[:5]), max(len(s.symbols) for s in samples[:5])
    assert frames.shape == (5, longest[0], BINS) and symbols.shape == (5, longest[1])
    for i, sample in enumerate(samples[:5]):
        assert (num_frames[i], num_symbols[i]) == (len(sample.frames), len(sample.symbols))
        np.testing.assert_array_equal(frames[i, :len(sample.frames)], sample.frames)
        np.testing.assert_array_equal(symbols[i, :len(sample.symbols)], sample.symbols)
        assert not frames[i, len(sample.frames):].any() and (symbols[i, len(sample.symbols):] == -1).all()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=100), st.integers(1, 9), st.integers(0, 99))
def test_every_sample_is_in_one_batch_of_an_epoch(lengths, batch_size, seed):
    order = shuffled(lengths, batch_size, seed, 0)
    assert sorted(i for rows in order for i in rows) == list(range(len(lengths)))
    assert len(order) == -(-len(lengths) // batch_size) and max(map(len, order)) <= batch_size
    assert order == shuffled(lengths, batch_size, seed, 0)


def test_epochs_differ_and_lengths_in_a_batch_are_alike():
    lengths = np.random.RandomState(0).randint(10, 100, 800).tolist()
    first, second = shuffled(lengths, 10, 1, 0), shuffled(lengths, 10, 1, 1)
    assert first != second != shuffled(lengths, 10, 2, 1)
    spread = np.mean([np.ptp([lengths[i] for i in batch]) for batch in first])
    assert spread < 0.25 * np.mean([np.ptp(lengths[i:i + 10]) for i in range(0, 800, 10)])


def test_an_epoch_is_all_batches_in_their_order(samples):
    order = shuffled([len(sample.frames) for sample in samples], 6, 3, 1)
    actual = list(batches(samples, 6, 3, 1))
    assert len(actual) == len(order) == 4
    for rows, batch in zip(order, actual):
        for one, other in zip(make_batch([samples[i] for i in rows]), batch):
            np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())


def test_no_sound_is_in_two_splits():
    splits = make_splits(1, 50)
    assert {name: len(samples) for name, samples in splits.items()} == {"train": 50, "valid": 5, "test": 5}
    sounds = [sample.frames.tobytes() for samples in splits.values() for sample in samples]
    assert len(set(sounds)) == len(sounds)


def test_a_sound_with_too_few_frames_for_its_symbols_is_refused():
    enough = np.zeros(WINDOW + 4 * HOP)  # 5 frames
    make_sample(Sound(enough, np.array([3, 3, 3]), np.zeros((3, 2), dtype=int)))
    with pytest.raises(ValueError, match="5 frames are too few for 4 symbols, which need 6"):
        make_sample(Sound(enough, np.array([3, 3, 3, 1]), np.zeros((4, 2), dtype=int)))
