"""The template baseline on frames whose answer is known, and against loops."""
import numpy as np
import pytest
from recognize_tones.batches import Sample, make_sample
from recognize_tones.scoring import token_error_rate
from recognize_tones.sounds import TONES, generate
from recognize_tones.templates import Templates

SHAPES = np.array([[4.0, 0, 0], [0, 4.0, 0], [0, 0, 0]])  # two symbols and silence


def sample(aligned, symbols, noise=0.1, seed=0):
    frames = SHAPES[aligned] + noise * np.random.RandomState(seed).normal(size=(len(aligned), 3))
    return Sample(frames, np.array(symbols), np.array(aligned))


def test_symbols_are_read_off_runs_and_blips_are_ignored():
    train = [sample([2, 0, 0, 0, 2, 2, 1, 1, 1, 2], [0, 1], seed=s) for s in range(5)]
    templates = Templates(train, [sample([2, 0, 0, 0, 1, 0, 2, 2, 1, 1, 1], [0, 1])], 2)
    assert templates.shortest == 2
    assert templates(sample([0, 0, 0, 2, 2, 0, 0, 0, 1, 0, 0, 2, 2, 1, 1], []).frames) == [0, 0, 1]


def test_loudness_is_taken_off_where_that_helps():
    rng = np.random.RandomState(0)

    def louder(aligned, symbols):
        plain = sample(aligned, symbols)
        return plain._replace(frames=plain.frames + rng.normal(0, 30, (len(aligned), 1)))

    train = [louder([2, 0, 0, 2, 1, 1], [0, 1]) for _ in range(200)]
    templates = Templates(train, [louder([2, 2, 0, 0, 2, 2, 1, 1], [0, 1]) for _ in range(20)], 2)
    assert templates.centred and templates(louder([0, 0, 1, 1, 2, 2, 1, 1], []).frames) == [0, 1, 1]


@pytest.fixture(scope="module")
def sounds():
    return [make_sample(sound) for sound in generate(150, 3)]


def test_each_frame_gets_the_nearest_mean_of_its_symbols_training_frames(sounds):
    templates = Templates(sounds[:100], sounds[100:], len(TONES))
    frames = np.concatenate([s.frames for s in sounds[:100]])
    aligned = np.concatenate([s.aligned for s in sounds[:100]])

    def prepared(array):
        return array - array.mean(axis=1, keepdims=True) if templates.centred else array

    means = [prepared(frames)[aligned == symbol].mean(axis=0) for symbol in range(len(TONES) + 1)]
    np.testing.assert_allclose(templates.means, means, rtol=1e-5)
    expected = [min(range(len(means)), key=lambda c: np.linalg.norm(row - means[c]))
                for row in prepared(sounds[120].frames)]
    assert templates.nearest(sounds[120].frames).tolist() == expected


def test_it_is_a_baseline_worth_beating(sounds):
    templates = Templates(sounds[:100], sounds[100:125], len(TONES))
    held_out = sounds[125:]
    rate = token_error_rate([templates(s.frames) for s in held_out], [s.symbols for s in held_out])
    assert rate < 0.4  # nothing recognized would be 1
