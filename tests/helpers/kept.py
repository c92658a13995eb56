"""Measure how much memory grows with every recorded call of a layer; print it beside the formula's number."""
import ctypes
import gc
import json
import sys
import time

from mxmp import runtime

runtime.configure(1)

import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402
from mxnet.gluon import nn as gluon_nn  # noqa: E402
from mxnet.gluon import rnn  # noqa: E402

from mxmp import nn  # noqa: E402
from mxmp.planning.layers import work  # noqa: E402

CALLS = 6
T, N, C, H, S = 20, 64, 128, 256, 24


def resident():
    """Numbers in memory, after all that was freed has been given back."""
    for _ in range(2):
        gc.collect()
        mx.nd.waitall()
        time.sleep(0.1)  # MXNet frees arrays in a thread of its own
    ctypes.CDLL(None).malloc_trim(0)
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 4


def kept(layer, arrays):
    """Numbers that one more call keeps."""
    layer.initialize()
    layer.hybridize()
    for array in arrays:
        if array.dtype is not np.int32:
            array.attach_grad()

    def call():
        with mx.autograd.record():
            return layer(*arrays)
    call().backward()
    held = [call() for _ in range(2)]
    before = resident()
    held += [call() for _ in range(CALLS)]
    return (resident() - before) / CALLS


def steps(rows=N, width=C, length=T):
    return mx.nd.random.normal(shape=(length, rows, width))


def lengths(value):
    return mx.nd.full((N,), value, dtype="int32")


def tokens():
    return mx.nd.ones((N, T), dtype="int32")


CASES = {
    "LSTMLayer": (nn.LSTMLayer(H), [steps()]),
    "LSTMLayer, many rows": (nn.LSTMLayer(H), [steps(128)]),
    "LSTMLayer, dropout": (nn.LSTMLayer(H, 0.2), [steps()]),
    "BidirectionalLSTM": (nn.BidirectionalLSTM(H), [steps(), lengths(T)]),
    "ContextLSTM": (nn.ContextLSTM(H), [steps(), steps()]),
    "ContextLSTM, dropout": (nn.ContextLSTM(H, 0.2), [steps(), steps()]),
    "Residual": (nn.Residual(nn.LSTMLayer(C)), [steps()]),
    "SequenceEmbedding": (nn.SequenceEmbedding(1000, H), [tokens()]),
    "MaskedAttention": (nn.MaskedAttention(H), [steps(), steps(N, H, S), lengths(S)]),
    "AttentionalOutput": (nn.AttentionalOutput(H), [steps(), steps()]),
    "Projection": (nn.Projection(1000, C), [steps()]),
    "LabelSmoothedLoss": (nn.LabelSmoothedLoss(0.1), [steps(width=1000), mx.nd.ones((N, T)), lengths(T)]),
    "ShardedSoftmaxLoss": (nn.ShardedSoftmaxLoss(1000, [mx.cpu(0)], C), [steps(), mx.nd.ones((N, T)), lengths(T)]),
    "SoftmaxCrossEntropyLoss": (mx.gluon.loss.SoftmaxCrossEntropyLoss(), [steps(width=1000), mx.nd.ones((T, N))]),
    "Dense": (gluon_nn.Dense(H, flatten=False), [steps()]),
    "Dropout": (gluon_nn.Dropout(0.2), [steps()]),
    "LayerNorm": (gluon_nn.LayerNorm(), [steps()]),
    "Embedding": (gluon_nn.Embedding(1000, H), [tokens()]),
    "TimeFirst": (nn.TimeFirst(), [steps()]),
    "LSTM": (rnn.LSTM(H), [steps()]),
    "LSTM of two layers, both ways": (rnn.LSTM(H, 2, bidirectional=True), [steps()]),
    "StackedLSTM": (nn.StackedLSTM(H, 2), [steps()]),
    "LSTMLayer, batch first": (nn.LSTMLayer(H, layout="NTC"), [steps(T, length=N)]),
    "LSTMLayer, batch first, dropout": (nn.LSTMLayer(H, 0.2, layout="NTC"), [steps(T, length=N)]),
    "BidirectionalLSTM, batch first": (nn.BidirectionalLSTM(H, layout="NTC"), [steps(T, length=N), lengths(T)]),
    "ContextLSTM, batch first": (nn.ContextLSTM(H, layout="NTC"), 2 * [steps(T, length=N)]),
    "LSTM, batch first": (rnn.LSTM(H, layout="NTC"), [steps(T, length=N)]),
    "StackedLSTM, batch first": (nn.StackedLSTM(H, 2, layout="NTC"), [steps(T, length=N)]),
    "RecurrentLayer": (nn.RecurrentLayer(0, H), [steps()]),
    "RecurrentLayer, GRU both ways": (nn.RecurrentLayer(0, H, "gru", 2), [steps()]),
    "RecurrentLayer, dropout and residual": (nn.RecurrentLayer(0, C, dropout=0.2, residual=True), [steps()]),
    "StackedLSTM, dropout and residual": (nn.StackedLSTM(H, 3, dropout=0.2, residual_from=1), [steps()]),
    "GRU": (rnn.GRU(H), [steps()]),
    "RNN": (rnn.RNN(H), [steps()]),
}

if __name__ == "__main__":
    found = {}
    for name, (layer, arrays) in CASES.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        measured = kept(layer, arrays)
        out = layer(*arrays)
        found[name] = measured, work(layer, [a.shape for a in arrays], [out.shape], {}).kept
    print(json.dumps(found))
