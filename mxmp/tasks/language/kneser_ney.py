"""What a language model must be better than: Kneser-Ney n-gram models, counted and smoothed with numpy alone."""
from __future__ import annotations

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

_DEFAULT_DISCOUNTS = (0.5, 1.0, 1.5)  # where too few n-grams are rare for an estimate, as in KenLM's fallback


class _Order(NamedTuple):
    """The n-grams of one order, and what their contexts sum to."""

    keys: np.ndarray      # sorted: context's number x (V + 1) + last token; none of unigrams, which tokens number
    shares: np.ndarray    # (discounted count) / (total of the context), of each n-gram
    backoffs: np.ndarray  # of each context: what the discounts left for the order below; 1 where it was never seen


class KneserNey:
    """An interpolated n-gram model with modified Kneser-Ney smoothing.

    Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", Computer Speech and
    Language 13(4), section 3: orders below the highest count in how many contexts an n-gram occurs, not how often
    (n-grams that begin a sentence have no context, and are counted as they are); three discounts per order, for
    counts of 1, 2 and more, are estimated from the numbers of n-grams that occur one to four times; and what they
    take away is given to the order below. Below the unigrams lies the uniform distribution over the vocabulary.

    Sentences are token numbers, each with the end mark at its end, and are modelled one by one: a context reaches back
    to the sentence's beginning at most. Each of the ``vocab_size`` tokens has a probability in every context; with the
    ``order`` 1 it is the unigram model.
    """

    def __init__(self, sentences: Sequence[Sequence[int]], vocab_size: int, order: int) -> None:
        if order < 1 or not sentences:
            raise ValueError(f"an n-gram model needs an order of at least 1 and sentences, got order {order} and "
                             f"{len(sentences)} sentences")
        self._size = vocab_size
        tokens, positions = self._flat(sentences)
        order = min(order, int(positions.max()) + 1)  # of sentences that short there are no longer n-grams
        keys, numbers = [np.empty(0, np.int64)], [tokens]
        for n in range(2, order + 1):
            ngrams, inverse = np.unique(self._keys(numbers[-1], tokens)[positions >= n - 1], return_inverse=True)
            keys.append(ngrams)
            numbers.append(np.full(len(tokens), -1))
            numbers[-1][positions >= n - 1] = inverse
        self._orders: List[_Order] = []
        for n in range(1, order + 1):
            counts = _counts(n, order, numbers, positions, len(keys[n - 1]) or vocab_size + 1)
            contexts = keys[n - 1] // (vocab_size + 1) if n > 1 else np.zeros(vocab_size + 1, int)
            num_contexts = (len(keys[n - 2]) or vocab_size + 1) if n > 1 else 1
            self._orders.append(_smoothed(keys[n - 1], counts, contexts, num_contexts))

    def log_probs(self, sentences: Sequence[Sequence[int]]) -> np.ndarray:
        """The natural logarithms of the probabilities of all tokens of ``sentences``, in order, (tokens,) float64."""
        tokens, positions = self._flat(sentences)
        unigrams = self._orders[0]
        probs = unigrams.shares[tokens] + unigrams.backoffs[0] / self._size
        numbers = tokens
        for n, order in enumerate(self._orders[1:], 2):
            known = np.concatenate([[-1], numbers[:-1]])  # the context's number; -1 if it never occurred
            known[positions < n - 1] = -1
            keys = known * (self._size + 1) + tokens
            at = np.minimum(np.searchsorted(order.keys, keys), len(order.keys) - 1)
            seen = (known >= 0) & (order.keys[at] == keys)
            probs = np.where(seen, order.shares[at], 0) + np.where(known >= 0, order.backoffs[known], 1) * probs
            numbers = np.where(seen, at, -1)
        return np.log(probs[positions > 0])

    def _flat(self, sentences: Sequence[Sequence[int]]) -> Tuple[np.ndarray, np.ndarray]:
        """All tokens behind each other, a begin mark before each sentence, and each one's position in its sentence."""
        tokens = np.concatenate([[self._size, *sentence] for sentence in sentences])
        return tokens, np.concatenate([np.arange(len(sentence) + 1) for sentence in sentences])

    def _keys(self, numbers: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Each position's n-gram as one number, from those of the (n - 1)-grams."""
        return np.concatenate([[0], numbers[:-1]]) * (self._size + 1) + tokens


def _counts(n: int, order: int, numbers: Sequence[np.ndarray], positions: np.ndarray, size: int) -> np.ndarray:
    """How often each n-gram counts."""
    counted = positions >= max(n - 1, 1)  # the begin mark itself is never predicted
    raw = np.bincount(numbers[n - 1][counted], minlength=size)
    if n == order:
        return raw
    longer = numbers[n]  # each different one is another context of the n-gram at its end
    _, first = np.unique(longer[positions >= n], return_index=True)
    counts = np.bincount(numbers[n - 1][positions >= n][first], minlength=size)
    begins = np.unique(numbers[n - 1][positions == n - 1]) if n > 1 else []
    counts[begins] = raw[begins]
    return counts


def _smoothed(keys: np.ndarray, counts: np.ndarray, contexts: np.ndarray, num_contexts: int) -> _Order:
    discounts = np.array([0.0, *_discounts(np.bincount(np.minimum(counts, 5), minlength=6))])[np.minimum(counts, 3)]
    totals = np.bincount(contexts, counts, num_contexts)
    left = np.bincount(contexts, discounts, num_contexts)
    backoffs = np.where(totals > 0, left / np.maximum(totals, 1), 1.0)
    return _Order(keys, (counts - discounts) / np.maximum(totals[contexts], 1), backoffs)


def _discounts(n: np.ndarray) -> Tuple[float, ...]:
    """Discounts of counts 1, 2 and more from the numbers ``n[c]`` of n-grams of count c."""
    if min(n[1:5]) == 0:
        return _DEFAULT_DISCOUNTS
    y = n[1] / (n[1] + 2 * n[2])
    discounts = tuple(c - (c + 1) * y * n[c + 1] / n[c] for c in (1, 2, 3))
    return discounts if all(0 <= d <= c for c, d in enumerate(discounts, 1)) else _DEFAULT_DISCOUNTS
