"""FLOPs of a layer's forward pass, by its kind."""
from __future__ import annotations

from functools import singledispatch
from math import prod
from typing import Dict, Optional, Sequence

from mxnet.gluon import Block, rnn
from mxnet.gluon import nn as gluon_nn

from .. import nn
from .cost import Shape

_ONE_LAYER = (nn.LSTMLayer, nn.BidirectionalLSTM, nn.ContextLSTM, nn.RecurrentLayer)


@singledispatch
def flops(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> Optional[int]:
    """Operations in a layer's matrix products, two for each multiply-add; None for a layer of an unknown kind.

    Parameters
    ----------
    layer : Block
        The layer.
    ins, outs : sequence of tuple of int
        Shapes of its inputs and outputs.
    sizes : dict of str to int
        Numbers in each of its parameters.
    """
    return None


@flops.register(gluon_nn.Dense)
@flops.register(rnn.RNN)
@flops.register(rnn.LSTM)
@flops.register(rnn.GRU)
@flops.register(nn.StackedLSTM)
@flops.register(nn.RecurrentLayer)
@flops.register(nn.AttentionalOutput)
@flops.register(nn.Projection)
def _(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    """Every weight works once at every position."""
    weights = sum(size for name, size in sizes.items() if not name.endswith("bias"))
    return 2 * weights * prod(outs[0][:-1])


@flops.register(nn.LSTMLayer)
@flops.register(nn.BidirectionalLSTM)
@flops.register(nn.ContextLSTM)
def _(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    weights = sum(sizes.values()) - 8 * outs[0][-1]  # the flat array ends with two biases of 4 gates
    return 2 * weights * prod(outs[0][:-1])


@flops.register
def _(layer: nn.ShardedSoftmaxLoss, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    """Of one of its contexts: the largest part of the rows."""
    return 2 * prod(ins[0]) * layer.most_rows


@flops.register
def _(layer: nn.MaskedAttention, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    target, source = ins[0][0], ins[1][0]
    products = 2 * 2 * target * source * outs[0][1] * outs[0][2]  # scores, and the weighted sum of the memory
    return 2 * sum(sizes.values()) * target * outs[0][1] + products


@flops.register(nn.TimeFirst)
@flops.register(nn.SequenceEmbedding)
@flops.register(gluon_nn.Embedding)
@flops.register(gluon_nn.Dropout)
@flops.register(gluon_nn.LayerNorm)
@flops.register(gluon_nn.BatchNorm)
@flops.register(gluon_nn.Activation)
def _(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    """They multiply no matrices."""
    return 0


@flops.register
def _(layer: nn.Residual, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> Optional[int]:
    return flops(layer.block, ins, outs, sizes)


@flops.register
def _(layer: nn.Select, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> Optional[int]:
    return flops(layer.block, [ins[i] for i in layer.take], outs, sizes)


def recurrent_steps(layer: Block, ins: Sequence[Shape]) -> int:
    """Time steps that a layer computes one after the other; 0 if it has no recurrence."""
    if isinstance(layer, nn.Select):
        return recurrent_steps(layer.block, [ins[i] for i in layer.take])
    if isinstance(layer, nn.Residual):
        return recurrent_steps(layer.block, ins)
    if isinstance(layer, (rnn.RNN, rnn.LSTM, rnn.GRU, nn.StackedLSTM)):
        return ins[0][layer._layout.index("T")] * layer._num_layers
    return ins[0][0] if isinstance(layer, _ONE_LAYER) else 0
