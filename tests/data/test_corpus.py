import pytest

from mxmp.data import ParallelText


def test_counts_pairs():
    assert len(ParallelText(["a", "b"], ["c", "d"])) == 2


def test_refuses_a_sentence_without_partner():
    with pytest.raises(ValueError, match="2 source sentences but 1 target"):
        ParallelText(["a", "b"], ["c"])
