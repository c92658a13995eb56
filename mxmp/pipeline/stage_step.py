"""One stage in one step: the activations that live from a forward to its backward unit, and what is carried along."""
from __future__ import annotations

from contextlib import contextmanager, nullcontext
from itertools import compress
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
from mxnet import autograd

from ..nn.chain import as_tuple
from ..nn.operators import is_float
from ..schedule import Unit, recomputed
from .cut import Feed
from .draws import Draws
from .errors import StageProbes
from .loss_head import LossHead
from .packed import Arrays, Packed, pack_outputs
from .stage import Stage
from .states import States, as_layers_take, is_stateful
from .timeline import StepNotes
from .transfer import copied, fresh


class Live(NamedTuple):
    """What a forward unit keeps for its backward unit; ``carried`` is the state that the chunk before left."""

    inputs: Arrays
    carried: Arrays
    outputs: Arrays
    states: Arrays


class Kept(NamedTuple):
    """What a forward unit keeps that the backward unit runs again: what it was given, and what it drew."""

    given: Packed
    before: States
    draws: Draws


class StageStep:
    """What one stage holds while one step runs; it begins and ends with the step, so nothing has to be forgotten.

    It is made, and used, in the stage's own thread, which issues ``units`` in their order. ``states`` are those of the
    stage's layers by micro-batch, after its latest chunk; they are empty if nothing is carried.
    """

    def __init__(self, stage: Stage, units: List[Unit], feed: Feed, states: Sequence[States] = (),
                 notes: Optional[StepNotes] = None) -> None:
        self._stage, self._feed, self._notes, self.context = stage, feed, notes, stage.context
        self.states: Dict[int, States] = {m: [[fresh(array, self.context) for array in layer] for layer in layers]
                                          for m, layers in enumerate(states)}
        self.probes = StageProbes(str(stage), self.context, stage.dependency,
                                  len(units) * (len(stage.layers) + 1))  # each layer and the loss
        self._head = LossHead(stage, feed) if stage.loss else None
        self._again = recomputed(units) if stage.recompute and feed.wanted is not None else set()
        self._variables: List[mx.nd.NDArray] = []  # of the first forward unit: a stream's steps have different ones
        self._live: Dict[Tuple[int, int], Live] = {}  # by micro-batch and chunk
        self._kept: Dict[Tuple[int, int], Kept] = {}  # likewise, of those that run again
        self._state_grads: Dict[int, Arrays] = {}  # by micro-batch, of the chunk that went backward last
        self._output_grads: Dict[int, List[List[mx.nd.NDArray]]] = {}  # by micro-batch, of chunks yet to go backward

    def forward(self, unit: Unit, given: Packed) -> Packed:
        """Run the layers on one chunk of a micro-batch; in training its activations are kept for `backward`.

        Returns what the next stage takes or, of the last stage with a loss, the micro-batch's summed loss after its
        last chunk, unless the step has no labels. Gradients are kept for the arrays of a floating-point type or, in the
        first stage, for those that want one.
        """
        given = given._replace(arrays=tuple(copied(array, self.context) for array in given.arrays))
        self._enter(unit, given.arrays)
        before, again, draws = self.states.get(unit.microbatch, []), unit in self._again, Draws()
        if again:
            self._kept[unit.microbatch, unit.chunk] = Kept(given, before, draws)
            with self._first_run(draws):
                outputs, states = self._run(unit, given, before)
        elif self._feed.wanted is None:
            outputs, states = self._run(unit, given, before)
        else:
            outputs, states = self._record(unit, given, before)
        if before:
            self.states[unit.microbatch] = [[s.detach() for s in layer] for layer in states]
        results = outputs = _detached(outputs)
        if self._head and self._feed.labels is not None:
            called = self._head.describe(unit.microbatch, outputs)
            with self.probes.located(unit, f"the loss, {called}"), self._first_run(draws) if again else nullcontext():
                results = self._head.forward(unit.microbatch, outputs, not again)
            self.probes.add(unit, "the loss", results.arrays)
        self._leave(unit, results.arrays or outputs.arrays)
        return results

    @contextmanager
    def _first_run(self, draws: Draws) -> Iterator[None]:
        with draws.taken(), self._stage.unchanged():
            yield

    def _record(self, unit: Unit, given: Packed, before: States) -> Tuple[Packed, States]:
        """As `_run`, with the graph that `backward` goes through."""
        carried = _flat(before) if unit.chunk else ()
        wanted = map(is_float, given.arrays) if self._stage.index else self._feed.wanted or ()
        for array in [*compress(given.arrays, wanted), *carried]:
            array.attach_grad()
        with autograd.record():
            outputs, states = self._run(unit, given, before)
        self._variables = self._variables or self._stage.variables()
        self._live[unit.microbatch, unit.chunk] = Live(given.arrays, carried, outputs.arrays, _flat(states))
        return outputs, states

    def _run_again(self, unit: Unit) -> None:
        """Record what a forward unit did, before its backward pass; it may start before that pass's gradients came."""
        given, before, draws = self._kept.pop((unit.microbatch, unit.chunk))
        self._stage.dependency.enter(given.arrays)
        with draws.given():
            outputs, _ = self._record(unit, given, before)
            if self._head and unit.chunk == len(self._feed.steps) - 1:
                with self.probes.located(unit, "the loss"):
                    self._head.record(unit.microbatch, _detached(outputs))

    def _run(self, unit: Unit, given: Packed, states: States) -> Tuple[Packed, States]:
        """The layers' outputs and, where states are given, the stateful layers' new ones."""
        news: States = []
        for name, layer in self._stage.layers.items():
            with self.probes.located(unit, f"layer {name!r}"):
                if states and is_stateful(layer):
                    out, new = layer(*given.unpack(), as_layers_take(states[len(news)]))
                    news.append([state.as_nd_ndarray() for state in new])
                else:
                    out = layer(*given.unpack())
                given = pack_outputs(as_tuple(out), f"{type(layer).__name__} returned")
            self.probes.add(unit, f"layer {name!r}", given.arrays)
        return given, news

    def backward(self, unit: Unit, output_grads: Sequence[Any] = ()) -> Arrays:
        """Add one chunk's gradients to the parameters', and return those of its inputs.

        ``output_grads`` are those of its floating-point outputs; the last stage has its loss's instead.
        """
        if (unit.microbatch, unit.chunk) in self._kept:
            self._run_again(unit)
        inputs, carried, outputs, states = self._live.pop((unit.microbatch, unit.chunk))
        later = self._state_grads.pop(unit.microbatch, ())
        heads = [*filter(is_float, outputs), *states[:len(later)]]
        layers = "layers " + ", ".join(map(repr, self._stage.layers))
        with self.probes.located(unit, f"one of the {layers}"):
            grads = [*self._enter_backward(unit, output_grads), *later]
            asked = [array for array in (*inputs, *carried) if array.grad is not None]
            choice = (len(heads), *(array.grad is None for array in (*inputs, *carried)), *self._stage.choice)
            self._stage.backward(heads, grads, lambda: [*self._variables, *asked], choice)
        if carried:
            self._state_grads[unit.microbatch] = tuple(state.grad for state in carried)
        input_grads = tuple(array.grad for array in inputs if array.grad is not None)
        # without an input's, the first layer's gradient is the last that a backward pass computes
        last = input_grads or self._own_gradient() or grads
        self.probes.add(unit, f"one of the {layers}", last)
        self._leave(unit, last)
        return input_grads

    def _enter_backward(self, unit: Unit, output_grads: Sequence[Any]) -> Sequence[mx.nd.NDArray]:
        """Gradients of the outputs, which wait for the unit before."""
        if self._head is None:
            grads = [copied(grad, self.context) for grad in output_grads]
            self._enter(unit, grads)
            return grads
        if unit.microbatch in self._output_grads:
            grads = self._output_grads[unit.microbatch].pop()
            self._enter(unit, grads)
            return grads
        one = mx.nd.ones((1,), self.context, self._head.dtype)
        self._enter(unit, [one])
        self._output_grads[unit.microbatch] = self._head.backward(unit.microbatch, one)
        return self._output_grads[unit.microbatch].pop()

    def _own_gradient(self) -> List[mx.nd.NDArray]:
        """One gradient of the layers on the stage's context, if there is any."""
        return [array.grad for array in self._variables if array.context == self.context][:1]

    def _enter(self, unit: Unit, arrays: Sequence[mx.nd.NDArray]) -> None:
        self._stage.dependency.enter(arrays)
        if self._notes:
            self._notes.begin(unit)

    def _leave(self, unit: Unit, arrays: Sequence[mx.nd.NDArray]) -> None:
        self._stage.dependency.leave(arrays)
        if self._notes:
            self._notes.end(unit, self._stage.dependency.latest())


def _detached(outputs: Packed) -> Packed:
    return outputs._replace(arrays=tuple(array.detach() for array in outputs.arrays))


def _flat(states: States) -> Arrays:
    return tuple(state for layer in states for state in layer)

