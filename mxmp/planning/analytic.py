"""What a layer costs, from its shapes alone: nothing runs, no parameter needs a value."""
from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import Block, Parameter
from mxnet.gluon import nn as gluon_nn

from ..nn import ShardedSoftmaxLoss
from ..nn.chain import as_chain, as_tuple, variable
from .cost import LayerCost, Shape
from .layers import work


class Uncomputable(ValueError):
    """A layer that cannot be looked into: it must run."""


class Described(NamedTuple):
    """An array that is not there yet."""

    shape: Shape
    dtype: str

    @property
    def bytes(self) -> int:
        """Its size."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def analytic(chain: Any, *inputs: Any, loss: Any = None) -> List[LayerCost]:
    """Cost of every layer of a chain for given inputs.

    Matrix products count two operations per multiply-add; what is done element by element counts nothing. What
    activations take is what MXNet 1.9.1 keeps on a CPU; the first layer's include the chain's inputs.

    Parameters
    ----------
    chain : Chain, gluon.nn.Sequential or sequence of Block
        The layers in order. They may be uninitialized.
    *inputs : NDArray or tuple of int
        The first layer's inputs, or their shapes if they are float32.
    loss : Block or None
        What a softmax's loss keeps counts as the last layer's. So do, of a `ShardedSoftmaxLoss`, the work and the
        parameters of one of its contexts: the last stage spans them all.

    Returns
    -------
    list of LayerCost
        One per layer. A layer of an unknown kind has a note, and no FLOPs.

    Raises
    ------
    ValueError
        If a layer works on arrays only, or cannot take what the one before it returns; with the layer's name.
    """
    arrays = [_described(array) for array in inputs]
    costs, outs = _walk(chain, arrays)
    return with_ends(costs, arrays, outs, loss)


def with_ends(costs: Sequence[LayerCost], ins: Sequence[Any], outs: Sequence[Any], loss: Any) -> List[LayerCost]:
    """A chain's costs with what its inputs ``ins`` add to the first, and a loss that takes its ``outs`` to the last."""
    costs = list(costs)
    first = costs[0]  # copies of the chain's inputs are kept, too
    costs[0] = replace(first, activation_bytes=first.activation_bytes + sum(a.bytes for a in _arrays(ins)))
    costs[-1] = _with_loss(costs[-1], loss, [a.shape for a in _arrays(outs)])
    return costs


def _with_loss(last: LayerCost, loss: Any, ins: Sequence[Shape]) -> LayerCost:
    """The last layer's cost with that of the loss."""
    known, sizes = work(loss, ins, (), {}), {}
    if isinstance(loss, ShardedSoftmaxLoss):
        sizes = {loss.prefix + "weight": loss.most_rows * ins[0][-1], loss.prefix + "bias": loss.most_rows}
    return replace(last, flops=last.flops + (known.flops or 0), sizes={**last.sizes, **sizes},
                   activation_bytes=last.activation_bytes + 4 * (known.kept or 0))


def _walk(chain: Any, arrays: List[Described]) -> Tuple[List[LayerCost], List[Described]]:
    """Every layer's cost, and the last one's outputs."""
    costs: List[LayerCost] = []
    layers = named_layers(chain)
    keys = parameter_keys(layers)
    for name, layer in layers.items():
        cost, arrays = _cost(name, layer, arrays, keys)
        costs.append(cost)
    return costs, arrays


def parameter_keys(layers: Dict[str, Block]) -> Dict[Parameter, str]:
    """A name for every parameter of named layers: its own, or with its layer's if another one has that."""
    keys: Dict[Parameter, str] = {}
    for name, layer in layers.items():
        for p in layer.collect_params().values():
            if p not in keys:
                keys[p] = f"{name}.{p.name}" if p.name in keys.values() else p.name
    return keys


def named_layers(chain: Any) -> Dict[str, Block]:
    """A chain's layers by name; those of a plain sequence are numbered."""
    return dict(as_chain(chain)._children)


def _cost(name: str, layer: Block, ins: List[Described],
          keys: Dict[Parameter, str]) -> Tuple[LayerCost, List[Described]]:
    """One layer's cost, and its outputs; `Uncomputable` if it can only run."""
    try:
        outs, sizes = _infer(layer, ins)
    except Exception as error:  # whatever a layer that was written for arrays says of symbols, or MXNet of their shapes
        raise Uncomputable(f"layer {name!r} ({type(layer).__name__}) cannot be computed from shapes ({reason(error)}); "
                           "measure it with planning.profile") from error
    cost = _sizes(name, layer, outs, {keys[p]: sizes.get(p.name, prod(p.shape))
                                      for p in layer.collect_params().values()})
    flops, kept, steps, note = _work(layer, ins, outs, sizes)
    return replace(cost, flops=flops, activation_bytes=kept, steps=steps, note=note), outs


def seen_cost(name: str, layer: Block, ins: Sequence[Any], outs: Sequence[Any],
              keys: Dict[Parameter, str]) -> LayerCost:
    """The cost of a layer that made ``outs`` of ``ins``, arrays or anything else: if it cannot be computed, the sizes
    that were seen."""
    arrays = _arrays(ins)
    if len(arrays) == len(ins):
        try:
            return _cost(name, layer, arrays, keys)[0]
        except Uncomputable:
            pass
    return _sizes(name, layer, _arrays(outs), {keys[p]: prod(p.shape) for p in layer.collect_params().values()})


def _sizes(name: str, layer: Block, outs: Sequence[Described], sizes: Dict[str, int]) -> LayerCost:
    sent = sum(a.bytes for a in outs)
    itemsize = max((np.dtype(p.dtype).itemsize for p in layer.collect_params().values()), default=4)
    return LayerCost(name, 0, sizes, tuple(a.shape for a in outs), sent, sent, itemsize=itemsize)


def reason(error: Exception) -> str:
    """The line of an error's text that says what is wrong; MXNet puts a trace before it."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _work(layer: Block, ins: List[Described], outs: List[Described],
          sizes: Dict[str, int]) -> Tuple[int, int, int, str]:
    """FLOPs, bytes kept, time steps and a note."""
    if isinstance(layer, (gluon_nn.Sequential, gluon_nn.HybridSequential)):
        inner, _ = _walk(layer, ins)
        return (sum(c.flops for c in inner), sum(c.activation_bytes for c in inner), sum(c.steps for c in inner),
                next((c.note for c in inner if c.note), ""))
    known = work(layer, [a.shape for a in ins], [a.shape for a in outs], sizes)
    note = "" if known.flops is not None else (f"a {type(layer).__name__} is of a kind whose work is not known; "
                                               "measure it with planning.profile")
    return (known.flops or 0, sum(a.bytes for a in outs) if known.kept is None else 4 * known.kept, known.steps, note)


def _infer(layer: Block, ins: Sequence[Described]) -> Tuple[List[Described], Dict[str, int]]:
    """Outputs and parameter sizes, by MXNet's own inference over symbols."""
    names = [f"input{i}" for i in range(len(ins))]
    outs = layer(*map(variable, names))
    group = mx.sym.Group(list(as_tuple(outs)))
    used = {name: array for name, array in zip(names, ins) if name in group.list_arguments()}
    arg_shapes, out_shapes, aux_shapes = group.infer_shape(**{name: array.shape for name, array in used.items()})
    out_types = group.infer_type(**{name: array.dtype for name, array in used.items()})[1]
    named = zip(group.list_arguments() + group.list_auxiliary_states(), arg_shapes + aux_shapes)
    sizes = {name: prod(shape) for name, shape in named if name not in names}
    return [Described(tuple(shape), np.dtype(dtype).name) for shape, dtype in zip(out_shapes, out_types)], sizes


def _arrays(values: Sequence[Any]) -> List[Described]:
    """Those of the values that are arrays."""
    return [_described(value) for value in values if isinstance(value, (Described, mx.nd.NDArray))]


def _described(array: Any) -> Described:
    if isinstance(array, Described):
        return array
    if isinstance(array, mx.nd.NDArray):
        return Described(array.shape, np.dtype(array.dtype).name)
    return Described(tuple(array), "float32")
