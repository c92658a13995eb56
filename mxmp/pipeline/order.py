"""Make MXNet's engine run a stage's units one after the other, without anybody waiting."""
from __future__ import annotations

from typing import Dict, List, Optional, Sequence

import mxnet as mx
from mxnet import autograd

from ..schedule import Unit
from .probes import Probe
from .timeline import Timeline


class Order:
    """The order of one stage's units in the engine.

    The engine runs whatever is ready, first come first served: of eight micro-batches that wait at a stage of two
    layers it would run the first layer for all eight before the second layer for any, so that the next stage starts
    late and 1F1B holds as many activations as fill-drain. A zero that is made of tokens, arrays that are there once a
    unit has ended, is therefore taken from one element of each of the next unit's inputs: to the engine, that unit
    depends on the one before it.

    Parameters
    ----------
    stage : str
        The stage in words, for errors.
    context : mx.Context
        Where it works.
    """

    def __init__(self, stage: str, context: mx.Context) -> None:
        self._stage, self._context = stage, context
        self._tokens: List[mx.nd.NDArray] = []
        self._timeline: Optional[Timeline] = None
        self._reached = mx.nd.ones((1,), context)
        self._count = 0
        self._corners: Dict[int, mx.nd.NDArray] = {}  # by number of axes, as large as a first element
        self.probes: Dict[Unit, List[Probe]] = {}

    def begin_step(self, num_probes: int, timeline: Optional[Timeline]) -> None:
        """Start with none of at most ``num_probes`` probes reached; the tokens of the step before stay."""
        self.probes, self._timeline, self._count = {}, timeline, 0
        self._reached = mx.nd.ones((num_probes,), self._context)

    def enter(self, unit: Unit, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Let all that is done with a unit's arrays wait for the unit before it; their memory must be their own."""
        if self._tokens:
            zero = mx.nd.zeros_like(mx.nd.add_n(*self._tokens))  # whatever the tokens are: an error leaves them unset
            for array in arrays:
                # adding the zero would make a positive zero of a negative one
                first = self._first(array) - zero.astype(array.dtype, copy=False)
                corner = (1,) * array.ndim
                mx.nd._internal._slice_assign(array, first.reshape(corner), (0,) * array.ndim, corner, out=array)
        if self._timeline:
            self._timeline.begin(unit)

    def note(self, unit: Unit, what: str, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Let a probe be reached when what was issued last is done."""
        for array in arrays[:1]:
            with autograd.pause():
                mx.nd.zeros_like(self._after(array), out=self._reached[self._count:self._count + 1])
            self.probes.setdefault(unit, []).append(Probe(f"{self.place(unit)}, {what}", self._reached, self._count))
            self._count += 1

    def leave(self, unit: Unit, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Let the next unit wait until a unit's results, ``arrays``, are there."""
        if arrays:
            self._tokens = [self._after(array) for array in arrays]
        if self._timeline:
            self._timeline.end(unit, mx.nd.add_n(*self._tokens))

    def place(self, unit: Unit) -> str:
        """A unit in words."""
        return (f"{self._stage}, {'forward' if unit.kind == 'F' else 'backward'} pass of micro-batch "
                f"{unit.microbatch}" + (f", chunk {unit.chunk}" if unit.chunk else ""))

    def _after(self, array: mx.nd.NDArray) -> mx.nd.NDArray:
        """A token: a copy of the array's first element, shape (1,), which is there once the array is."""
        with autograd.pause():  # a recorded token would keep the whole graph alive
            return self._first(array).astype("float32")

    def _first(self, array: mx.nd.NDArray) -> mx.nd.NDArray:
        """A copy of the first element, shape (1,).

        A view of what a convolution puts out, in a layout of oneDNN's own, cannot be read, and writing through it goes
        astray. Of the operators that could take its place, ``slice`` crashes then, and ``gather_nd`` holds one of four
        temporary spaces from when it is issued, for which other operators have to wait.
        """
        if array.ndim not in self._corners:
            self._corners[array.ndim] = mx.nd.zeros((1,) * array.ndim, self._context)
        return mx.nd.slice_like(array, self._corners[array.ndim]).reshape((1,))
