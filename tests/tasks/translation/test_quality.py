"""BLEU and exact matches, against a score worked out by hand."""
import math

import pytest

from mxmp.tasks.translation.quality import score


def test_a_perfect_translation_scores_100():
    quality = score(["the cat sat on the mat"], ["the cat sat on the mat"])
    assert quality.bleu == pytest.approx(100) and quality.exact_match == 1 and quality.length_ratio == 1


def test_bleu_is_that_of_the_formula():
    # 1- to 4-gram precisions 5/5, 4/4, 3/3, 2/2 with 5 words for 6: only the brevity penalty exp(1 - 6/5) is left
    quality = score(["the cat sat on the"], ["the cat sat on the mat"])
    assert quality.bleu == pytest.approx(100 * math.exp(1 - 6 / 5)) and quality.length_ratio == pytest.approx(5 / 6)


def test_case_and_punctuation_count():
    assert score(["A cat."], ["a cat."]).exact_match == 0
    assert "case:mixed" in score(["a"], ["a"]).signature and "tok:13a" in score(["a"], ["a"]).signature


@pytest.mark.parametrize("hypotheses, references", [([], []), (["a"], ["a", "b"])])
def test_nothing_to_score_is_an_error(hypotheses, references):
    with pytest.raises(ValueError, match="cannot score"):
        score(hypotheses, references)
