"""What a layer costs, from its shapes alone: nothing runs, no parameter needs a value."""
from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from math import prod
from typing import Dict, List, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Block, Parameter
from mxnet.gluon import nn as gluon_nn

from .. import nn

Shape = Tuple[int, ...]


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer: its name, forward FLOPs, size of each of its parameters, shapes of what it hands on."""

    name: str
    flops: int
    sizes: Dict[str, int]
    out_shapes: Tuple[Shape, ...]

    @property
    def parameters(self) -> int:
        """Number of parameters, those it shares with other layers included."""
        return sum(self.sizes.values())


def analytic(chain: Block, *input_shapes: Shape) -> List[LayerCost]:
    """Cost of every layer of a chain for inputs of the given shapes.

    Matrix products count two operations per multiply-add; what is done element by element counts nothing. The
    backward pass of such layers costs twice the forward pass, so that shares of the work are the same.

    Parameters
    ----------
    chain : Chain, gluon.nn.Sequential or sequence of Block
        The layers in order.
    input_shapes : tuples of int
        Shapes of the first layer's inputs.

    Returns
    -------
    list of LayerCost
        One per layer. A Parameter that several layers share has one name in all of them.
    """
    costs, shapes = [], list(input_shapes)
    keys: Dict[Parameter, str] = {}
    for name, layer in _named(chain).items():
        outs, sizes = _infer(layer, shapes)
        for p in layer.collect_params().values():
            if p not in keys:
                keys[p] = f"{name}.{p.name}" if p.name in keys.values() else p.name
        own = {keys[p]: sizes[p.name] for p in layer.collect_params().values()}
        costs.append(LayerCost(name, flops(layer, shapes, outs, sizes), own, tuple(outs)))
        shapes = outs
    return costs


def _named(chain: Block) -> Dict[str, Block]:
    return dict(chain._children) if isinstance(chain, Block) else {str(i): layer for i, layer in enumerate(chain)}


def _infer(layer: Block, shapes: Sequence[Shape]) -> Tuple[List[Shape], Dict[str, int]]:
    """Output shapes and parameter sizes, by MXNet's own shape inference over symbols."""
    names = [f"input{i}" for i in range(len(shapes))]
    outs = layer(*(mx.sym.var(name) for name in names))
    group = mx.sym.Group(list(outs) if isinstance(outs, (tuple, list)) else [outs])
    known = {name: shape for name, shape in zip(names, shapes) if name in group.list_arguments()}
    arg_shapes, out_shapes, aux_shapes = group.infer_shape(**known)
    named = zip(group.list_arguments() + group.list_auxiliary_states(), arg_shapes + aux_shapes)
    sizes = {name: prod(shape) for name, shape in named if name not in names}
    return [tuple(shape) for shape in out_shapes], sizes


@singledispatch
def flops(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    """Forward FLOPs: every weight works once at every position, which holds for Dense and LSTM layers."""
    weights = sum(size for name, size in sizes.items() if not name.endswith("bias"))
    return 2 * weights * prod(outs[0][:-1])


@flops.register(nn.LSTMLayer)
@flops.register(nn.BidirectionalLSTM)
@flops.register(nn.ContextLSTM)
def _(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    weights = sum(sizes.values()) - 8 * outs[0][-1]  # the flat array ends with two biases of 4 gates
    return 2 * weights * prod(outs[0][:-1])


@flops.register
def _(layer: nn.Residual, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    return flops(layer.block, ins, outs, sizes)


@flops.register(nn.TimeFirst)
@flops.register(nn.SequenceEmbedding)
@flops.register(gluon_nn.Embedding)
def _(layer: Block, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    return 0


@flops.register
def _(layer: nn.MaskedAttention, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    target, source = ins[0][0], ins[1][0]
    products = 2 * 2 * target * source * outs[0][1] * outs[0][2]  # scores, and the weighted sum of the memory
    return 2 * sum(sizes.values()) * target * outs[0][1] + products


@flops.register
def _(layer: nn.Select, ins: Sequence[Shape], outs: Sequence[Shape], sizes: Dict[str, int]) -> int:
    return flops(layer.block, [ins[i] for i in layer.take], outs, sizes)
