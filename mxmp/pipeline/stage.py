"""One stage: a run of layers on one context, and the live activations of its micro-batches."""
from __future__ import annotations

from itertools import compress
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import Block, Parameter

from ..schedule import Unit
from .cut import Arrays
from .errors import located
from .head import Head
from .order import Order
from .recurrent import States, is_stateful
from .timeline import Timeline
from .transfer import copied, fresh, is_float


class Live(NamedTuple):
    """What a forward unit keeps for its backward unit; ``carried`` is the state that the chunk before left."""

    inputs: Arrays
    carried: Arrays
    outputs: Arrays
    states: Arrays


class Stage:
    """Layers that live on one context.

    What works on a micro-batch is called in the stage's own thread: MXNet keeps the fused RNN operator's
    resources, the random generators and the recording flag per thread.

    Parameters
    ----------
    index : int
        Position in the pipeline.
    layers : dict of str to Block
        The stage's layers in order, by name.
    context : mx.Context
        Where they live.
    head : Head or None
        The last stage's loss.

    Attributes
    ----------
    places : dict of Parameter to mx.Context
        The layers' and the loss's parameters, each once, with where this stage works with them.
    """

    def __init__(self, index: int, layers: Dict[str, Block], context: mx.Context, head: Optional[Head]) -> None:
        self.index, self.layers, self.context, self.head = index, layers, context, head
        self.places: Dict[Parameter, mx.Context] = {
            p: context for block in layers.values() for p in block.collect_params().values()}
        for parameter, place in (head.places if head else {}).items():
            self.places.setdefault(parameter, place)
        self.order = Order(f"stage {index} on {context}", context)
        self.states: Dict[int, States] = {}  # by micro-batch, after its latest chunk; empty if nothing is carried
        self._live: Dict[Tuple[int, int], Live] = {}
        self._state_grads: Dict[int, Arrays] = {}
        self._head_grads: Dict[int, List[List[mx.nd.NDArray]]] = {}
        self._recorded: Dict[Any, List[bool]] = {}

    @property
    def stateful(self) -> List[Block]:
        """Its layers that have a recurrent state."""
        return [layer for layer in self.layers.values() if is_stateful(layer)]

    def begin_step(self, num_units: int, steps: Sequence[int], states: Sequence[States],
                   timeline: Optional[Timeline]) -> None:
        """Forget what a failed step left; take the chunks' lengths and the micro-batches' states."""
        for left in (self._live, self._state_grads, self._head_grads):
            left.clear()
        self.states = {m: [[fresh(array, self.context) for array in layer] for layer in given]
                       for m, given in enumerate(states)}
        self.order.begin_step(num_units * (len(self.layers) + 1), timeline)  # each layer and the loss
        if self.head:
            self.head.begin_step(steps)

    def clear_gradients(self) -> None:
        """Set the gradients, to which backward units add, to 0."""
        for parameter, place in self.places.items():
            if parameter._grad is not None:  # it is None where none is wanted, or before the first input came
                parameter.grad(place)[:] = 0

    def forward(self, unit: Unit, inputs: Sequence[Any], labels: Optional[Sequence[Any]] = (),
                training: bool = True, wanted: Optional[Sequence[bool]] = None) -> Arrays:
        """Run the layers on one chunk of a micro-batch; in training its activations are kept for `backward`.

        Returns what the next stage takes or, of the last stage with a loss, the micro-batch's summed loss after its
        last chunk, unless ``labels`` is None. Gradients are kept for the ``wanted`` inputs; None stands for all of a
        floating-point type.
        """
        arrays = tuple(copied(array, self.context) for array in inputs)
        self.order.enter(unit, arrays)
        before = self.states.get(unit.microbatch, [])
        carried = _flat(before) if unit.chunk and training else ()
        if training:
            for array in [*compress(arrays, map(is_float, arrays) if wanted is None else wanted), *carried]:
                array.attach_grad()
            with autograd.record():
                outputs, states = self._run(unit, arrays, before)
            self._live[unit.microbatch, unit.chunk] = Live(arrays, carried, outputs, _flat(states))
        else:
            outputs, states = self._run(unit, arrays, before)
        if before:
            self.states[unit.microbatch] = [[s.detach() for s in layer] for layer in states]
        results = outputs = tuple(array.detach() for array in outputs)
        if self.head and labels is not None:
            with located(f"{self.order.place(unit)}, the loss"):
                results = self.head.forward(unit.microbatch, outputs, labels, training)
            self.order.note(unit, "the loss", results)
        self.order.leave(unit, results or outputs)
        return results

    def _run(self, unit: Unit, arrays: Arrays, states: States) -> Tuple[Arrays, States]:
        """The layers' outputs and, where states are given, the stateful layers' new ones."""
        new: States = []
        for name, layer in self.layers.items():
            with located(f"{self.order.place(unit)}, layer {name!r}"):
                if states and is_stateful(layer):
                    out, kept = layer(*arrays, states[len(new)])
                    new.append(list(kept))
                else:
                    out = layer(*arrays)
            arrays = tuple(out) if isinstance(out, (tuple, list)) else (out,)
            self.order.note(unit, f"layer {name!r}", arrays)
        return arrays, new

    def backward(self, unit: Unit, head_grads: Sequence[Any] = ()) -> Arrays:
        """Add one chunk's gradients to the parameters', and return those of its inputs.

        ``head_grads`` are those of its floating-point outputs; the last stage has its loss's instead.
        """
        inputs, carried, outputs, states = self._live.pop((unit.microbatch, unit.chunk))
        later = self._state_grads.pop(unit.microbatch, ())
        heads = [*filter(is_float, outputs), *states[:len(later)]]
        layers = "layers " + ", ".join(map(repr, self.layers))
        with located(f"{self.order.place(unit)}, {layers}"):
            grads = [*self._enter_backward(unit, head_grads), *later]
            recorded = self._are_recorded([*inputs, *carried], heads)
            if any(recorded):
                # The graph stays until it is dropped: clearing it would tear frozen parameters, and arrays that a
                # block holds itself, out of the other micro-batches' graphs.
                autograd.backward(list(compress(heads, recorded)), list(compress(grads, recorded)), retain_graph=True)
        if carried:
            self._state_grads[unit.microbatch] = tuple(state.grad for state in carried)
        wanted = tuple(array.grad for array in inputs if array.grad is not None)
        # without an input's, the first layer's gradient is the last that a backward pass computes
        last = wanted or [p.grad(self.context) for p, place in self.places.items()
                          if p.grad_req != "null" and place == self.context][:1] or grads
        self.order.note(unit, f"one of the {layers}", last)
        self.order.leave(unit, last)
        return wanted

    def _enter_backward(self, unit: Unit, head_grads: Sequence[Any]) -> Sequence[mx.nd.NDArray]:
        """Gradients of the outputs, which wait for the unit before."""
        if self.head is None:
            grads = [copied(grad, self.context) for grad in head_grads]
            self.order.enter(unit, grads)
        elif unit.microbatch in self._head_grads:
            grads = self._head_grads[unit.microbatch].pop()
            self.order.enter(unit, grads)
        else:
            one = mx.nd.ones((1,), self.context, self.head.dtype)
            self.order.enter(unit, [one])
            self._head_grads[unit.microbatch] = self.head.backward(unit.microbatch, one)
            grads = self._head_grads[unit.microbatch].pop()
        return grads

    def _are_recorded(self, inputs: Sequence[mx.nd.NDArray], heads: Sequence[mx.nd.NDArray]) -> List[bool]:
        """Which outputs depend on anything that has a gradient; found out once for each choice of what has."""
        key = (len(heads), *(array.grad is None for array in inputs), *(p.grad_req for p in self.places))
        if key not in self._recorded:
            self._recorded[key] = [_is_recorded(array) for array in heads]
        return self._recorded[key]


def _flat(states: States) -> Arrays:
    return tuple(state for layer in states for state in layer)


def _is_recorded(array: mx.nd.NDArray) -> bool:
    """Whether an array is part of a recorded graph; MXNet tells only by refusing to show the graph."""
    try:
        autograd.get_symbol(array)
    except mx.MXNetError:
        return False
    return True
