"""Batches: every sample once, padded as CTCLoss wants it, in an order that only seed and epoch decide; splits that
share no sound."""
import numpy as np
import pytest
from recognize_tones.batches import batches, make_batch, make_sample, make_splits
from recognize_tones.sounds import BINS, HOP, WINDOW, Sound, generate

from mxmp.data import bucket_batches


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


def test_an_epoch_is_all_batches_in_their_order(samples):
    order = bucket_batches(np.array([len(sample.frames) for sample in samples]), 6, 3, 1)
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
