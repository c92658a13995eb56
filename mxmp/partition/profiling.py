"""Measure a chain's layers where they shall live."""
from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Block, Parameter

from ..machine import machine
from ..nn.cut_parameter import RowsParameter
from .analytic import analytic, named_layers
from .cost import LayerCost
from .measure import layer_seconds, measure_link
from .profiles import Piece, Profile, pair

Arrays = Sequence[mx.nd.NDArray]


def profile(chain: Any, contexts: Sequence[mx.Context], *inputs: mx.nd.NDArray, loss: Any = None, labels: Arrays = (),
            cuts: Sequence[Piece] = ((1, 1),), layout: str = "NTC", repeats: int = 5) -> Profile:
    """Measure forward and backward time of every layer, on one context of each kind, and the links between them.

    Each layer runs alone, hybridized, for the first micro-batch and time chunk of each way to cut the batch; two runs
    warm up, and medians count. Parameters keep their values, those without any get some; gradients become 0.

    Parameters
    ----------
    chain : Chain, gluon.nn.Sequential or sequence of Block
        The layers.
    contexts : sequence of mx.Context
        Where they shall live.
    inputs : NDArray
        A batch.
    loss : callable or None
        Takes the chain's outputs and the labels; its time counts as the last layer's.
    labels : sequence of NDArray
        The whole batch's. They are not cut in time: the loss sees a micro-batch's whole time.
    cuts : sequence of (int, int)
        Micro-batches and time chunks of each way to cut the batch.
    layout : str, default "NTC"
        Axes of inputs and labels, as of `mxmp.Pipeline`.
    repeats : int, default 5
        Measurements of each time.

    Returns
    -------
    Profile
        Costs of all layers for every way to cut, and links.

    Raises
    ------
    ValueError
        If there is no context, or the batch cannot be cut so.
    """
    if not contexts:
        raise ValueError("there are no contexts to measure on; give at least one")
    blocks = [*named_layers(chain).values(), *([loss] if isinstance(loss, Block) else [])]
    found: Dict[str, Dict[Piece, List[LayerCost]]] = {}
    for context in {context.device_type: context for context in reversed(contexts)}.values():
        with _living_on(context, blocks):
            found[context.device_type] = _measured(chain, context, (inputs, labels), loss, cuts, layout, repeats)
    links = {pair(a, b): measure_link(a, b, repeats) for a, b in zip(contexts, contexts[1:])}
    return Profile(found, links, {**machine(), "mxnet": mx.__version__, "contexts": list(map(str, contexts))})


def _measured(chain: Any, context: mx.Context, batch: Tuple[Arrays, Arrays], loss: Any, cuts: Sequence[Piece],
              layout: str, repeats: int) -> Dict[Piece, List[LayerCost]]:
    """Every layer's cost for each way to cut the batch."""
    found = {}
    for m in sorted({m for m, _ in cuts}):
        data, label = ([_first_part(array, layout, "N", m) for array in arrays] for arrays in batch)
        whole, outs = _costs(chain, data, context, repeats, loss)
        extra = _loss_seconds(loss, outs, label, context, repeats)
        for c in sorted({c for other, c in cuts if other == m}):
            chunk = [_first_part(array, layout, "T", c) for array in data] if c > 1 else data
            costs = _costs(chain, chunk, context, repeats, loss)[0] if c > 1 else whole
            found[m, c] = _with_loss(costs, [seconds / c for seconds in extra])
    return found


def _costs(chain: Any, arrays: Arrays, context: mx.Context, repeats: int,
           loss: Any) -> Tuple[List[LayerCost], Arrays]:
    """Every layer's cost, and the last one's outputs."""
    arrays = [array.as_in_context(context) for array in arrays]
    costs = []
    for cost, layer in zip(analytic(chain, *arrays, loss=loss), named_layers(chain).values()):
        trains = any(p.grad_req != "null" for p in layer.collect_params().values())
        forward, backward, arrays = layer_seconds(layer, arrays, trains, repeats)
        costs.append(replace(cost, forward=forward, backward=backward, note=""))
    return costs, arrays


def _loss_seconds(loss: Any, outs: Arrays, labels: Arrays, context: mx.Context, repeats: int) -> Sequence[float]:
    """Forward and backward seconds of the loss."""
    if loss is None:
        return 0.0, 0.0
    labels = [label.as_in_context(context) for label in labels]
    return layer_seconds(lambda *arrays: loss(*arrays, *labels).sum(), outs, False, repeats)[:2]


def _with_loss(costs: List[LayerCost], extra: Sequence[float]) -> List[LayerCost]:
    last = costs[-1]
    return [*costs[:-1], replace(last, forward=(last.forward or 0.0) + extra[0],
                                 backward=(last.backward or 0.0) + extra[1])]


def _first_part(array: mx.nd.NDArray, layout: str, letter: str, parts: int) -> mx.nd.NDArray:
    """The largest of nearly equal parts along the batch ("N") or the time axis ("T")."""
    axis = layout.index(letter) if array.ndim > 1 else 0
    if letter == "T" and array.ndim < 2:
        raise ValueError(f"an input of shape {array.shape} has no time axis; measure without time chunks")
    if not 1 <= parts <= array.shape[axis]:
        raise ValueError(f"an input of shape {array.shape} cannot be cut into {parts} parts along axis {axis}")
    return array.slice_axis(axis, 0, -(-array.shape[axis] // parts))


@contextmanager
def _living_on(context: mx.Context, blocks: Sequence[Block]) -> Iterator[None]:
    """Let the blocks' parameters live on one context and add up gradients, as in a pipeline, and undo it afterwards."""
    parameters: Dict[Parameter, Tuple[Any, str]] = {}
    for block in blocks:
        for parameter in block.collect_params().values():
            known = parameter._data is not None or parameter._deferred_init
            parameters[parameter] = parameter.list_ctx() if known else None, parameter.grad_req
            if not known:
                parameter.initialize(ctx=[context])
            elif not isinstance(parameter, RowsParameter):  # a softmax that spans contexts does so here, too
                parameter.reset_ctx([context])
            if parameter.grad_req == "write":
                parameter.grad_req = "add"
        block.hybridize()
    try:
        yield
    finally:
        for parameter, (places, grad_req) in parameters.items():
            if places is not None and not isinstance(parameter, RowsParameter):
                parameter.reset_ctx(places)
            parameter.grad_req = grad_req
            parameter.zero_grad()
