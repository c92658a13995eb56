"""Measure a chain's layers where they shall live: the result as a value and as a file."""
from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Block, Parameter

from ..contexts import check_contexts
from ..nn.parameters import RowsParameter
from ..runtime import machine
from ..writing import write_aside
from .analytic import named_layers, parameter_keys, reason, seen_cost, with_ends
from .cost import LayerCost
from .device import Link
from .measure import time_layer, time_link

Arrays = Sequence[mx.nd.NDArray]
Piece = Tuple[int, int]  # micro-batches and time chunks that a batch is cut into


@dataclass(frozen=True)
class Profile:
    """What `mxmp.planning.profile` measured.

    Parameters
    ----------
    layers : dict of str to dict
        By kind of context ("cpu", "gpu"), by (micro-batches, chunks), the costs of all layers, seconds included.
    links : dict of str to Link
        Between two kinds of contexts, as "cpu-gpu".
    machine : dict
        Processor, versions and date.
    """

    layers: Dict[str, Dict[Piece, List[LayerCost]]]
    links: Dict[str, Link]
    machine: Dict[str, Any]

    def costs(self, num_microbatches: int = 1, num_chunks: int = 1, kind: str = "") -> List[LayerCost]:
        """The layers' costs for one piece of a batch.

        Parameters
        ----------
        num_microbatches, num_chunks : int, default 1
            How the batch is cut.
        kind : str, default ""
            Kind of context, "cpu" or "gpu"; the first that was measured by default.

        Returns
        -------
        list of LayerCost
            With ``forward`` and ``backward``, in seconds.

        Raises
        ------
        ValueError
            If that was not measured.
        """
        measured = self.layers.get(kind or next(iter(self.layers)), {})
        if (num_microbatches, num_chunks) not in measured:
            raise ValueError(f"the profile has no times for {num_microbatches} micro-batches and {num_chunks} chunks "
                             f"on {kind or next(iter(self.layers))}; measured are "
                             + (", ".join(f"{m} x {c}" for m, c in measured) or "none"))
        return measured[num_microbatches, num_chunks]

    def link(self, contexts: Sequence[mx.Context]) -> Link:
        """The slowest link between neighbours among ``contexts``; one that takes no time where none was measured."""
        links = [self.links[key] for key in map(_pair, contexts, contexts[1:]) if key in self.links]
        return max(links, key=lambda link: link.seconds(2 ** 20), default=Link())

    def save(self, path: str) -> None:
        """Write it to ``path`` as JSON."""
        layers = {kind: [{"num_microbatches": m, "num_chunks": c, "costs": [asdict(cost) for cost in costs]}
                         for (m, c), costs in pieces.items()] for kind, pieces in self.layers.items()}
        with write_aside(path) as partial, open(partial, "w", encoding="utf-8") as file:
            json.dump({"machine": self.machine, "links": {key: asdict(link) for key, link in self.links.items()},
                       "layers": layers}, file, indent=1)

    @classmethod
    def load(cls, path: str) -> Profile:
        """Returns the profile that `save` wrote to ``path``.

        Raises
        ------
        ValueError
            If the file is none of those.
        """
        try:
            with open(path, encoding="utf-8") as file:
                described = json.load(file)
            layers = {kind: {(piece["num_microbatches"], piece["num_chunks"]):
                             [LayerCost(**{**cost, "out_shapes": tuple(map(tuple, cost["out_shapes"]))})
                              for cost in piece["costs"]] for piece in pieces}
                      for kind, pieces in described["layers"].items()}
            return cls(layers, {key: Link(**link) for key, link in described["links"].items()}, described["machine"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is no profile that this version wrote ({type(error).__name__}: {error}); measure "
                             "it again") from error


def profile(chain: Any, contexts: Sequence[mx.Context], *inputs: mx.nd.NDArray, loss: Any = None, labels: Arrays = (),
            cuts: Sequence[Piece] = ((1, 1),), layout: str = "NTC", repeats: int = 5,
            hybridize: bool = True) -> Profile:
    """Measure forward and backward time of every layer, on one context of each kind, and the links between them.

    Each layer runs alone, for the first micro-batch and time chunk of each way to cut the batch; two runs warm up, and
    medians count. What `analytic` says of a layer goes beside its times; of one that works on arrays only, the sizes
    of its parameters and outputs. Parameters keep their values, those without any get some; gradients become 0.

    Parameters
    ----------
    chain : Chain, gluon.nn.Sequential or sequence of Block
        The layers.
    contexts : sequence of mx.Context
        Where they shall live.
    *inputs : NDArray
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
    hybridize : bool, default True
        Whether layers and loss are hybridized, as of `mxmp.Pipeline`; False leaves them as they are.

    Returns
    -------
    Profile
        Costs of all layers for every way to cut, and links.

    Raises
    ------
    ValueError
        If there is no context, or something else, the batch cannot be cut so, or a layer cannot run; with its name.
    """
    contexts = check_contexts(contexts, "contexts")
    if not contexts:
        raise ValueError("there are no contexts to measure on; give at least one")
    blocks = [*named_layers(chain).values(), *([loss] if isinstance(loss, Block) else [])]
    for block in blocks if hybridize else ():
        block.hybridize()
    layers: Dict[str, Dict[Piece, List[LayerCost]]] = {}
    for context in {context.device_type: context for context in reversed(contexts)}.values():
        with _living_on(context, blocks):
            layers[context.device_type] = _measured(chain, context, (inputs, labels), loss, cuts, layout, repeats)
    links = {_pair(a, b): time_link(a, b, repeats) for a, b in zip(contexts, contexts[1:])}
    return Profile(layers, links, {**machine(), "mxnet": mx.__version__, "contexts": list(map(str, contexts))})


def _measured(chain: Any, context: mx.Context, batch: Tuple[Arrays, Arrays], loss: Any, cuts: Sequence[Piece],
              layout: str, repeats: int) -> Dict[Piece, List[LayerCost]]:
    """Every layer's cost for each way to cut the batch."""
    pieces = {}
    for m in sorted({m for m, _ in cuts}):
        data, label = ([_first_piece(array, layout, "N", m) for array in arrays] for arrays in batch)
        whole, outs = _costs(chain, data, context, repeats, loss)
        extra = _loss_seconds(loss, outs, label, context, repeats)
        for c in sorted({c for other, c in cuts if other == m}):
            chunk = [_first_piece(array, layout, "T", c) for array in data] if c > 1 else data
            costs = _costs(chain, chunk, context, repeats, loss)[0] if c > 1 else whole
            pieces[m, c] = _with_loss(costs, [seconds / c for seconds in extra])
    return pieces


def _costs(chain: Any, arrays: Arrays, context: mx.Context, repeats: int,
           loss: Any) -> Tuple[List[LayerCost], Arrays]:
    """Every layer's cost, and the last one's outputs."""
    inputs: Arrays = [array.as_in_context(context) for array in arrays]
    outs = inputs
    costs = []
    layers = named_layers(chain)
    for name, layer in layers.items():
        ins, trains = outs, any(p.grad_req != "null" for p in layer.collect_params().values())
        try:
            forward, backward, outs = time_layer(layer, ins, trains, repeats)
        except Exception as error:
            text = reason(error)
            remedy = "; give hybridize=False" if "Symbol" in text else ""  # only where it is traced has it symbols
            raise ValueError(f"layer {name!r} ({type(layer).__name__}) cannot be measured: {text}{remedy}") from error
        known = seen_cost(name, layer, ins, outs, parameter_keys(layers))
        costs.append(replace(known, forward=forward, backward=backward, note=""))
    return with_ends(costs, inputs, outs, loss), outs


def _loss_seconds(loss: Any, outs: Arrays, labels: Arrays, context: mx.Context, repeats: int) -> Sequence[float]:
    """Forward and backward seconds of the loss."""
    if loss is None:
        return 0.0, 0.0
    labels = [label.as_in_context(context) for label in labels]
    return time_layer(lambda *arrays: loss(*arrays, *labels).sum(), outs, False, repeats)[:2]


def _with_loss(costs: List[LayerCost], extra: Sequence[float]) -> List[LayerCost]:
    last = costs[-1]
    return [*costs[:-1], replace(last, forward=(last.forward or 0.0) + extra[0],
                                 backward=(last.backward or 0.0) + extra[1])]


def _first_piece(array: mx.nd.NDArray, layout: str, letter: str, count: int) -> mx.nd.NDArray:
    """The largest of nearly equal pieces along the batch ("N") or the time axis ("T")."""
    axis = layout.index(letter) if array.ndim > 1 else 0
    if letter == "T" and array.ndim < 2:
        raise ValueError(f"an input of shape {array.shape} has no time axis; measure without time chunks")
    if not 1 <= count <= array.shape[axis]:
        raise ValueError(f"an input of shape {array.shape} cannot be cut into {count} parts along axis {axis}")
    return array.slice_axis(axis, 0, -(-array.shape[axis] // count))


@contextmanager
def _living_on(context: mx.Context, blocks: Sequence[Block]) -> Iterator[None]:
    """Let the blocks' parameters live on one context and add up gradients, as in a pipeline, and undo it afterwards."""
    parameters: Dict[Parameter, Tuple[Any, str]] = {}
    for parameter in {p: None for block in blocks for p in block.collect_params().values()}:  # once, if layers share it
        known = parameter._data is not None or parameter._deferred_init
        parameters[parameter] = parameter.list_ctx() if known else None, parameter.grad_req
        if not known:
            parameter.initialize(ctx=[context])
        elif not isinstance(parameter, RowsParameter):  # a softmax that spans contexts does so here, too
            parameter.reset_ctx([context])
        if parameter.grad_req == "write":
            parameter.grad_req = "add"
    try:
        yield
    finally:
        for parameter, (contexts, grad_req) in parameters.items():
            if contexts is not None and not isinstance(parameter, RowsParameter):
                parameter.reset_ctx(contexts)
            parameter.grad_req = grad_req
            parameter.zero_grad()


def _pair(source: mx.Context, target: mx.Context) -> str:
    """The name of a kind of link."""
    return f"{source.device_type}-{target.device_type}"
