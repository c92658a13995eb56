"""What a layer keeps from its forward until its backward pass, by its kind."""
from __future__ import annotations

from functools import singledispatch
from math import prod
from typing import Optional, Sequence

from mxnet.gluon import Block, loss, rnn
from mxnet.gluon import nn as gluon_nn

from .. import nn
from .cost import Shape

_FEW_ROWS = 128  # below, oneDNN's recurrent kernels keep their gates twice


@singledispatch
def activations(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape]) -> Optional[int]:
    """Numbers that stay in memory, the layer's outputs among them; None for a layer of an unknown kind.

    The formulas are those of MXNet 1.9.1 on a CPU, found by measuring (tests/planning/test_activations.py does it
    again). A recurrent kernel keeps its gates and states, and two copies of its weights, for every call.

    Parameters
    ----------
    layer : Block
        The layer.
    ins, outs : sequence of tuple of int
        Shapes of its inputs and outputs.
    """
    return None


@activations.register(gluon_nn.Dense)
@activations.register(gluon_nn.Embedding)
@activations.register(gluon_nn.LayerNorm)
@activations.register(nn.Projection)
@activations.register(nn.SequenceEmbedding)
@activations.register(nn.TimeFirst)
def _(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    """Their outputs: masks that are shared over time, means and deviations are small beside them."""
    return prod(outs[0])


@activations.register(nn.LabelSmoothedLoss)
@activations.register(loss.SoftmaxCrossEntropyLoss)
def _(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    return prod(ins[0])  # the logarithms of the probabilities


@activations.register
def _(layer: nn.ShardedSoftmaxLoss, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    return prod(ins[0][:-1]) * layer.most_rows  # likewise, on one of its contexts


@activations.register
def _(layer: gluon_nn.Dropout, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    return prod(outs[0]) if layer._axes else 2 * prod(outs[0])  # without axes the mask is as large


@activations.register
def _(layer: nn.LSTMLayer, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    steps, rows, width = ins[0]
    return _recurrent(4, 2, steps, rows, width, layer._hidden_size) + _dropped(layer, ins[0])


@activations.register
def _(layer: nn.BidirectionalLSTM, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    one = activations(layer.left, ins[:1], outs) or 0
    return 2 * one + prod(ins[0]) + prod(outs[0])  # the reversed input, and both directions side by side


@activations.register
def _(layer: nn.ContextLSTM, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    joined = (*ins[0][:2], ins[0][2] + ins[1][2])
    return prod(joined) + (activations(layer.lstm, [joined], outs) or 0)


@activations.register
def _(layer: nn.Residual, ins: Sequence[Shape], outs: Sequence[Shape]) -> Optional[int]:
    inner = activations(layer.block, ins, outs)
    return None if inner is None else inner + prod(outs[0])


@activations.register
def _(layer: nn.MaskedAttention, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    return 3 * prod(outs[0]) + prod(ins[1])  # queries before and after turning, contexts; the turned memory


@activations.register
def _(layer: nn.AttentionalOutput, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    dropped = 1 if layer.dropout is not None else 0
    return prod(ins[0]) + prod(ins[1]) + (2 + dropped) * prod(outs[0])  # joined inputs; before and after tanh


@activations.register
def _(layer: nn.Select, ins: Sequence[Shape], outs: Sequence[Shape]) -> Optional[int]:
    return activations(layer.block, [ins[i] for i in layer.take], outs)


@activations.register(rnn.RNN)
@activations.register(rnn.LSTM)
@activations.register(rnn.GRU)
@activations.register(nn.StackedLSTM)
def _(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    steps, rows, width = ins[0] if layer._layout == "TNC" else (ins[0][1], ins[0][0], ins[0][2])
    gates, states = layer._gates, 1 if layer._mode.startswith("rnn") else 2
    total = 0
    for _ in range(layer._num_layers):
        one = _recurrent(gates, states, steps, rows, width, layer._hidden_size)
        weights = gates * layer._hidden_size * (width + layer._hidden_size)
        total += layer._dir * (one + 2 * weights)  # Gluon puts the weights into one array first
        width = layer._dir * layer._hidden_size
        total += (layer._dir - 1) * steps * rows * width  # both directions side by side
    return total


@activations.register
def _(layer: nn.RecurrentLayer, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    steps, rows, width = ins[0]
    gates, states = {"lstm": (4, 2), "gru": (3, 2)}.get(layer._mode, (1, 1))
    size = layer._hidden_size
    one = _recurrent(gates, states, steps, rows, width, size) + 2 * gates * size * (width + size)
    joined = (layer._dir - 1) * prod(outs[0])
    kept = layer._dir * one + joined + (prod(ins[0]) if layer.dropout is not None else 0)
    return kept + (prod(outs[0]) if layer._residual else 0)


def _recurrent(gates: int, states: int, steps: int, rows: int, width: int, size: int) -> int:
    """One layer in one direction: gates and states of every step, states at both ends, and the weights twice."""
    kept = (2 if rows < _FEW_ROWS else 1) * gates + states
    return rows * size * (steps * kept + 4 * states) + 2 * gates * size * (width + size)


def _dropped(layer: nn.LSTMLayer, shape: Shape) -> int:
    return prod(shape) if layer.dropout is not None else 0
