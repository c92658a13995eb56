"""Kneser-Ney by numpy against the definition written out, and against arithmetic by hand."""
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.tasks.language.kneser_ney import KneserNey

V, END, BEGIN = 6, 1, "begin"
SENTENCES = st.lists(st.lists(st.integers(2, V - 1), max_size=5).map(lambda s: [*s, END]), min_size=1, max_size=12)


class ByDefinition:
    """The probabilities from dictionaries, one token at a time."""

    def __init__(self, sentences, order, size=V):
        self.size = size
        grams = [gram for sentence in sentences for gram in self.grams([BEGIN, *sentence], order)]
        self.counts = defaultdict(Counter)  # by context
        for n in range(1, order + 1):
            raw = Counter(gram for gram in grams if len(gram) == n)
            longer = {gram for gram in grams if len(gram) == n + 1}
            for gram, count in raw.items():
                whole = n == order or gram[0] == BEGIN
                self.counts[gram[:-1]][gram[-1]] = count if whole else sum(other[1:] == gram for other in longer)
        self.discounts = {}
        for n in range(order):
            of = Counter(min(c, 5) for context, counter in self.counts.items() if len(context) == n
                         for c in counter.values())
            self.discounts[n] = [0, 0.5, 1, 1.5]
            if all(of[c] for c in (1, 2, 3, 4)):
                y = of[1] / (of[1] + 2 * of[2])
                found = [0, 1 - 2 * y * of[2] / of[1], 2 - 3 * y * of[3] / of[2], 3 - 4 * y * of[4] / of[3]]
                if all(0 <= d <= c for c, d in enumerate(found)):
                    self.discounts[n] = found

    @staticmethod
    def grams(tokens, order):
        return [tuple(tokens[i - n + 1:i + 1]) for i in range(1, len(tokens)) for n in range(1, min(order, i + 1) + 1)]

    def prob(self, context, token):
        below = self.prob(context[1:], token) if context else 1 / self.size
        counter = self.counts.get(context)
        if not counter:
            return below
        total, discounts = sum(counter.values()), self.discounts[len(context)]
        left = sum(discounts[min(c, 3)] for c in counter.values())
        return (counter[token] - discounts[min(counter[token], 3)] + left * below) / total

    def log_probs(self, sentences, order):
        return [np.log(self.prob(tuple([BEGIN, *sentence][max(0, i - order + 2):i + 1]), sentence[i]))
                for sentence in sentences for i in range(len(sentence))]


@settings(deadline=None, max_examples=60)
@given(SENTENCES, SENTENCES, st.integers(1, 5))
def test_probabilities_are_those_of_the_definition(train, test, order):
    expected = ByDefinition(train, order).log_probs(test, order)
    np.testing.assert_allclose(KneserNey(train, V, order).log_probs(test), expected, 1e-9)


@pytest.mark.parametrize("order", [2, 3])
def test_estimated_discounts_are_used_where_there_are_enough_ngrams(order):
    rng = np.random.RandomState(0)
    train = [[*np.minimum(rng.zipf(1.6, rng.randint(1, 8)) + 1, 49), END] for _ in range(400)]
    test = [[*rng.randint(2, 50, 4), END] for _ in range(20)]
    expected = ByDefinition(train, order, 50)
    assert expected.discounts[order - 1] != [0, 0.5, 1, 1.5]
    np.testing.assert_allclose(KneserNey(train, 50, order).log_probs(test), expected.log_probs(test, order), 1e-9)


@settings(deadline=None, max_examples=30)
@given(SENTENCES, st.lists(st.integers(0, V - 1), max_size=6), st.integers(1, 5))
def test_probabilities_sum_to_one_in_every_context(train, context, order):
    model = KneserNey(train, V, order)
    last = [model.log_probs([[*context, token]])[-1] for token in range(V)]
    assert np.exp(last).sum() == pytest.approx(1, abs=1e-9)


def test_unigrams_by_hand():
    # counts 3 and 1 of 4; default discounts 1.5 and 0.5 leave 2 / 4 for the uniform distribution over 6 tokens
    probs = np.exp(KneserNey([[2, 2, 2, END]], V, 1).log_probs([[2, 5, END]]))
    np.testing.assert_allclose(probs, [1.5 / 4 + 0.5 / 6, 0.5 / 6, 0.5 / 4 + 0.5 / 6])


@pytest.mark.parametrize("sentences, order", [([], 3), ([[END]], 0)])
def test_nothing_to_count_is_refused(sentences, order):
    with pytest.raises(ValueError, match="an order of at least 1 and sentences"):
        KneserNey(sentences, V, order)
