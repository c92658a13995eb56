"""Edit distance against the recursion that defines it."""
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recognize_tones.scoring import edit_distance, token_error_rate

SEQUENCES = st.lists(st.integers(0, 2), max_size=6)


def by_definition(one, other):
    @lru_cache(maxsize=None)
    def rest(i, j):
        if i == len(one) or j == len(other):
            return len(one) - i + len(other) - j
        return min(rest(i + 1, j) + 1, rest(i, j + 1) + 1, rest(i + 1, j + 1) + (one[i] != other[j]))
    return rest(0, 0)


@given(SEQUENCES, SEQUENCES)
def test_it_is_what_the_definition_says_either_way_round(one, other):
    assert edit_distance(one, other) == edit_distance(other, one) == by_definition(tuple(one), tuple(other))


def test_a_known_pair():
    assert edit_distance(list(map(ord, "kitten")), list(map(ord, "sitting"))) == 3


def test_the_rate_weighs_sequences_by_their_length():
    assert token_error_rate([[1], [1, 2, 3]], [[2], [1, 2, 3, 4]]) == pytest.approx(2 / 5)
    assert token_error_rate([[1, 2, 3]], [[4]]) == 3


@pytest.mark.parametrize("hypotheses, references", [([[1]], [[1], [2]]), ([[1]], [[]])])
def test_what_has_no_rate_is_refused(hypotheses, references):
    with pytest.raises(ValueError, match="give one for each, and at least one symbol"):
        token_error_rate(hypotheses, references)
