"""Decoders against all paths of small cases."""
import math

import numpy as np
import pytest
from helpers.brute_ctc import labellings, random_log_probs
from recognize_tones.decoding import best_path, collapse, prefix_beam

CASES = [(steps, classes, seed) for steps, classes in ((1, 3), (4, 2), (5, 3), (4, 4)) for seed in range(4)]


@pytest.mark.parametrize("path, symbols", [
    ([2, 2, 2], []), ([0, 0, 1, 1], [0, 1]), ([0, 2, 0], [0, 0]), ([2, 1, 1, 2, 2, 1, 0], [1, 1, 0]), ([], [])])
def test_repetitions_are_merged_before_blanks_are_left_out(path, symbols):
    assert collapse(path, 2) == symbols


@pytest.mark.parametrize("case", CASES)
def test_best_path_is_that_of_each_frames_best_class(case):
    log_probs = random_log_probs(*case)
    path = [max(range(case[1]), key=lambda c: log_probs[t, c]) for t in range(case[0])]
    merged = [c for t, c in enumerate(path) if t == 0 or c != path[t - 1]]
    assert best_path(log_probs) == [c for c in merged if c != case[1] - 1]


@pytest.mark.parametrize("case", CASES)
def test_a_wide_beam_finds_every_labelling_with_its_probability(case):
    log_probs = random_log_probs(*case)
    expected = labellings(log_probs)
    beam = prefix_beam(log_probs, beam_size=10_000)
    assert {tuple(symbols) for symbols, log_prob in beam if log_prob > -np.inf} == set(expected)
    for symbols, log_prob in beam:
        assert math.exp(log_prob) == pytest.approx(expected.get(tuple(symbols), 0.0), rel=1e-9)
    assert tuple(beam[0][0]) == max(expected, key=expected.get)
    assert [p for _, p in beam] == sorted((p for _, p in beam), reverse=True)


def test_the_beam_finds_what_the_best_path_misses():
    log_probs = np.log([[0.4, 0.6], [0.4, 0.6]])  # two blanks: 0.36; one symbol by three paths: 0.64
    assert best_path(log_probs) == []
    assert prefix_beam(log_probs, 2)[0] == ([0], pytest.approx(math.log(0.64)))


@pytest.mark.parametrize("seed", range(6))
def test_a_narrow_beam_gives_lower_bounds(seed):
    log_probs = random_log_probs(5, 3, seed)
    expected = labellings(log_probs)
    beam = prefix_beam(log_probs, 3)
    assert len(beam) == 3
    assert all(math.exp(log_prob) <= expected[tuple(symbols)] * (1 + 1e-9) for symbols, log_prob in beam)


def test_an_empty_beam_is_refused():
    with pytest.raises(ValueError, match="beam_size must be at least 1, got 0"):
        prefix_beam(np.zeros((2, 2)), 0)
