"""CTC by going through all paths."""
from itertools import product

import numpy as np


def labellings(log_probs):
    """The probability of every sequence of symbols, summed over all of its paths; (T, C), the last class is blank."""
    steps, classes = log_probs.shape
    sums = {}
    for path in product(range(classes), repeat=steps):
        merged = [symbol for i, symbol in enumerate(path) if i == 0 or path[i - 1] != symbol]
        symbols = tuple(symbol for symbol in merged if symbol != classes - 1)
        sums[symbols] = sums.get(symbols, 0.0) + float(np.exp(sum(log_probs[t, c] for t, c in enumerate(path))))
    return sums


def random_log_probs(steps, classes, seed, spread=2.0):
    scores = spread * np.random.RandomState(seed).normal(size=(steps, classes))
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
