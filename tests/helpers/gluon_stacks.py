"""Stacks for the tests of `StackedLSTM`, and Gluon's own layers beside them."""
import mxnet as mx
from mxnet import gluon

from mxmp.nn import StackedLSTM

from .plain import uniform

CONTEXTS = [mx.cpu(0), mx.cpu(1)]
T, N, C, H = 5, 3, 8, 6
LAYERS = {"lstm": gluon.rnn.LSTM, "gru": gluon.rnn.GRU,
          "rnn_tanh": lambda *args, **kwargs: gluon.rnn.RNN(*args, activation="tanh", **kwargs),
          "rnn_relu": lambda *args, **kwargs: gluon.rnn.RNN(*args, activation="relu", **kwargs)}


def stack(layers=2, contexts=CONTEXTS, **options):
    return StackedLSTM(H, layers, contexts[:layers], **options)


def states_for(block, rows=N):
    return [uniform(*info["shape"], seed=20 + i) for i, info in enumerate(block.state_info(rows))]


def same_values(block, plain):
    for ours, theirs in zip(block.collect_params().values(), plain.collect_params().values()):
        ours.set_data(theirs.data())
    return block
