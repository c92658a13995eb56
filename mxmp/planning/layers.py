"""What a layer does, by its kind: one entry for each says its work, what it keeps, and how many steps wait in line."""
from __future__ import annotations

from functools import singledispatch
from math import prod
from typing import Dict, NamedTuple, Optional, Sequence

from mxnet.gluon import Block, loss, rnn
from mxnet.gluon import nn as gluon_nn

from .. import nn
from ..nn.base import layout_of
from .cost import Shape

_FEW_ROWS = 128  # below, oneDNN's recurrent kernels keep their gates twice
_GATES_AND_STATES = {"lstm": (4, 2), "gru": (3, 2), "rnn_tanh": (1, 1), "rnn_relu": (1, 1)}

Shapes = Sequence[Shape]
Sizes = Dict[str, int]  # numbers in each parameter, by name


class Work(NamedTuple):
    """What is known of a layer; None is what is not.

    ``flops`` are operations in matrix products, two for each multiply-add, of a forward pass. ``kept`` are the numbers
    that stay in memory until the backward pass, the layer's outputs among them; the formulas are those of MXNet 1.9.1
    on a CPU, found by measuring (tests/planning/test_layers.py does it again): a recurrent kernel keeps its gates and
    states, and two copies of its weights, for every call. ``steps`` are time steps computed one after the other.
    """

    flops: Optional[int] = None
    kept: Optional[int] = None
    steps: int = 0


@singledispatch
def work(layer: Block, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    """What a layer does with inputs and outputs of these shapes."""
    return Work()


@work.register(gluon_nn.Dense)
@work.register(nn.Projection)
def _(layer: Block, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    return Work(_every_weight(outs, sizes), prod(outs[0]))


@work.register(gluon_nn.Embedding)
@work.register(gluon_nn.LayerNorm)
@work.register(nn.SequenceEmbedding)
@work.register(nn.TimeFirst)
def _(layer: Block, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    return Work(0, prod(outs[0]))  # masks that are shared over time, means and deviations are small beside them


@work.register(gluon_nn.BatchNorm)
@work.register(gluon_nn.Activation)
def _(layer: Block, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    return Work(0)


@work.register
def _(layer: gluon_nn.Dropout, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    return Work(0, prod(outs[0]) if layer._axes else 2 * prod(outs[0]))  # without axes the mask is as large


@work.register(nn.LabelSmoothedLoss)
@work.register(loss.SoftmaxCrossEntropyLoss)
def _(layer: Block, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    return Work(None, prod(ins[0]))  # the logarithms of the probabilities


@work.register
def _(layer: nn.ShardedSoftmaxLoss, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    """Of one of its contexts: the largest shard of the rows."""
    return Work(2 * prod(ins[0]) * layer.most_rows, prod(ins[0][:-1]) * layer.most_rows)


@work.register
def _(layer: nn.MaskedAttention, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    target, source = ins[0][0], ins[1][0]
    products = 2 * 2 * target * source * outs[0][1] * outs[0][2]  # scores, and the weighted sum of the memory
    kept = 3 * prod(outs[0]) + prod(ins[1])  # queries before and after turning, contexts; the turned memory
    return Work(2 * sum(sizes.values()) * target * outs[0][1] + products, kept)


@work.register
def _(layer: nn.AttentionalOutput, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    dropped = 1 if layer.dropout is not None else 0
    kept = prod(ins[0]) + prod(ins[1]) + (2 + dropped) * prod(outs[0])  # joined inputs; before and after tanh
    return Work(_every_weight(outs, sizes), kept)


@work.register
def _(layer: nn.LSTMLayer, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    shape = _time_first(layer, ins[0])
    kept = _recurrent("lstm", shape, layer.hidden_size) + (prod(shape) if _copies(layer) else 0)
    return Work(_flat_weights(outs, sizes), kept + (prod(outs[0]) if layer.layout == "NTC" else 0), shape[0])


@work.register
def _(layer: nn.BidirectionalLSTM, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    shape = _time_first(layer, ins[0])
    one = work(layer.left, [shape], outs, {}).kept or 0
    turned = prod(shape) if layer.layout == "NTC" else 0
    kept = 2 * one + turned + prod(shape) + prod(outs[0])  # the reversed input, and both directions side by side
    return Work(_flat_weights(outs, sizes), kept, shape[0])


@work.register
def _(layer: nn.ContextLSTM, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    joined = (*ins[0][:2], ins[0][2] + ins[1][2])
    kept = (0 if _copies(layer.lstm) else prod(joined)) + (work(layer.lstm, [joined], outs, {}).kept or 0)
    return Work(_flat_weights(outs, sizes), kept, _time_first(layer, joined)[0])


@work.register
def _(layer: nn.RecurrentLayer, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    one = _joined_weights(layer.mode, ins[0], layer.hidden_size)
    kept = layer.num_directions * one + (layer.num_directions - 1) * prod(outs[0])
    kept += (2 * prod(ins[0]) if layer.dropout is not None else 0) + (prod(outs[0]) if layer.residual else 0)
    return Work(_every_weight(outs, sizes), kept, ins[0][0])


@work.register(rnn.RNN)
@work.register(rnn.LSTM)
@work.register(rnn.GRU)
def _(layer: Block, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    steps, rows, width = _time_first(layer, ins[0])
    kept, directions, size = 0, layer._dir, layer._hidden_size
    for _ in range(layer._num_layers):
        kept += directions * _joined_weights(layer._mode, (steps, rows, width), size)
        width = directions * size
        kept += (directions - 1) * steps * rows * width  # both directions side by side
    return Work(_every_weight(outs, sizes), kept + _turned(layer, ins, outs), steps * layer._num_layers)


@work.register
def _(layer: nn.StackedLSTM, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    shape, kept = _time_first(layer, ins[0]), 0
    for inner in layer.layers:
        out = (*shape[:2], inner.num_directions * inner.hidden_size)
        kept += work(inner, [shape], [out], {}).kept or 0
        shape = out
    return Work(_every_weight(outs, sizes), kept + _turned(layer, ins, outs), shape[0] * layer._num_layers)


@work.register
def _(layer: nn.Residual, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    inner = work(layer.block, ins, outs, sizes)
    return inner._replace(kept=None if inner.kept is None else inner.kept + prod(outs[0]))


@work.register
def _(layer: nn.Select, ins: Shapes, outs: Shapes, sizes: Sizes) -> Work:
    return work(layer.block, [ins[i] for i in layer.take], outs, sizes)


def _time_first(layer: Block, shape: Shape) -> Shape:
    return shape if layout_of(layer) == "TNC" else (shape[1], shape[0], shape[2])


def _turned(layer: Block, ins: Shapes, outs: Shapes) -> int:
    """What stays of turning a batch-first layer's input and output."""
    return 0 if layout_of(layer) == "TNC" else prod(ins[0]) + prod(outs[0])


def _copies(layer: nn.LSTMLayer) -> bool:
    """Whether the operator reads an array of its own: its input dropped, turned, or both."""
    return layer.dropout is not None or layer.layout == "NTC"


def _every_weight(outs: Shapes, sizes: Sizes) -> int:
    """Operations where every weight works once at every position."""
    return 2 * sum(size for name, size in sizes.items() if not name.endswith("bias")) * prod(outs[0][:-1])


def _flat_weights(outs: Shapes, sizes: Sizes) -> int:
    """The same for flat arrays, which end with two biases of 4 gates."""
    return 2 * (sum(sizes.values()) - 8 * outs[0][-1]) * prod(outs[0][:-1])


def _recurrent(mode: str, shape: Shape, size: int) -> int:
    """One layer in one direction: gates and states of every step, states at both ends, and the weights twice."""
    (steps, rows, width), (gates, states) = shape, _GATES_AND_STATES[mode]
    by_step = (2 if rows < _FEW_ROWS else 1) * gates + states
    return rows * size * (steps * by_step + 4 * states) + 2 * gates * size * (width + size)


def _joined_weights(mode: str, shape: Shape, size: int) -> int:
    """The same where separate weights are put into one array first."""
    return _recurrent(mode, shape, size) + 2 * _GATES_AND_STATES[mode][0] * size * (shape[2] + size)
