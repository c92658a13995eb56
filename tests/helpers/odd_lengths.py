"""A program of its own, since a wrong one ends the process: blocks that take lengths, called with any numbers as such.

``odd_lengths.py FILE`` writes outputs and gradients by block, mode and type to an npz file.
"""
import sys

import mxnet as mx
import numpy as np

from helpers.blocks import TOKENS
from helpers.plain import initialized, to_array, trace, uniform
from mxmp import nn

STEPS, WIDTH, ROUNDS = 5, 4, 20
ODD = {"int32": [0, 1, 3, 5, 6, 7, 1000, 2 ** 31 - 1, -1, -5, -1000, -2 ** 31],
       "float32": [0, 1, 3, 5, 2.5, 7, 1e9, np.inf, -0.5, -1e9, -np.inf, np.nan]}


def blocks(dtype="float32"):
    """Each block with the arrays before the lengths."""
    rows = len(ODD[dtype])
    data, memory = uniform(STEPS, rows, WIDTH, seed=1), uniform(STEPS, rows, WIDTH, seed=2)
    logits, label = uniform(STEPS, rows, TOKENS, seed=3), np.arange(STEPS * rows).reshape(rows, STEPS) % TOKENS
    batch_first = nn.LabelSmoothedLoss(0.1, layout="NTC")
    return {"BidirectionalLSTM": (nn.BidirectionalLSTM(3, input_size=WIDTH), [data]),
            "MaskedAttention": (nn.MaskedAttention(WIDTH, WIDTH), [uniform(3, rows, WIDTH, seed=4), memory]),
            "LabelSmoothedLoss": (nn.LabelSmoothedLoss(0.1), [logits, label]),
            "LabelSmoothedLoss, batch first": (batch_first, [logits.swapaxes(0, 1), label]),
            "ShardedSoftmaxLoss": (nn.ShardedSoftmaxLoss(TOKENS, [mx.cpu(0), mx.cpu(1)], WIDTH), [data, label])}


def traced(name, dtype, hybridize, lengths):
    """What `trace` says of a block with fixed values for these lengths."""
    block, arrays = blocks(dtype)[name]
    initialized(block, hybridize=hybridize)
    lengths = to_array(lengths) if dtype == "int32" else mx.nd.array(lengths, dtype=dtype)
    return trace(lambda *inputs: block(*inputs, lengths), *arrays, block=block)


if __name__ == "__main__":
    results = {}
    for case in blocks():
        for kind, odd in ODD.items():
            for hybrid in (False, True):
                for _ in range(ROUNDS):  # what was written outside of an array may lie there unnoticed for a while
                    arrays = traced(case, kind, hybrid, np.array(odd))
                results.update({f"{case}/{kind}/{hybrid}/{i}": array for i, array in enumerate(arrays)})
    np.savez(sys.argv[1], **results)
