"""Find out where an error happened that MXNet raised only when somebody waited."""
from __future__ import annotations

from collections import deque
from typing import Deque, Dict, List, NamedTuple, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet.ndarray.ndarray import _new_alloc_handle

from .errors import add_place

_MOST = 1000  # steps, for programs that never look at a loss: older ones are dropped


class Probe(NamedTuple):
    """A place in words, and the element of an array that becomes 0 once the work there is done."""

    place: str
    array: mx.nd.NDArray
    position: int


class Issued(NamedTuple):
    """A step that was issued: its probes, causes before effects, and an array that is there once all its work is."""

    probes: Sequence[Probe]
    fence: mx.nd.NDArray


class Probes:
    """The steps that have been issued since somebody last looked.

    MXNet skips what depends on a failed operator, and raises the error where any of it is waited for, once and without
    a place; what is skipped no more then works on memory that was never set, and may crash. So a whole step is
    waited for at once, and its place is found afterwards: by the first probe that was not reached. This module
    waits: in `check`, and in the methods of a loss that wait anyway.
    """

    def __init__(self) -> None:
        self._pending: Deque[Issued] = deque()
        self._checked = 0

    def add(self, probes: Sequence[Probe], contexts: Sequence[mx.Context]) -> int:
        """Append a step, given its probes; returns how many there have been."""
        arrays: Dict[int, mx.nd.NDArray] = {id(probe.array): probe.array for probe in probes}
        ends = [array[:1].as_in_context(contexts[-1]) for array in arrays.values()]
        self._pending.append(Issued(probes, mx.nd.add_n(*ends)))
        while len(self._pending) > _MOST:
            self._next()
        return self._checked + len(self._pending)

    def _next(self) -> Issued:
        self._checked += 1
        return self._pending.popleft()

    def check(self, count: Optional[int] = None) -> None:
        """Wait for the first ``count`` steps (default: all); an error goes on as itself, its place in its message."""
        steps: List[Issued] = []
        while self._pending and (count is None or self._checked < count):
            steps.append(self._next())
        if not steps:
            return
        try:
            steps[-1].fence.wait_to_read()  # each stage's work is in order, so those before are there, too
        except mx.MXNetError as error:
            self._checked += len(self._pending)
            self._pending.clear()
            add_place(error, _first_unreached([probe for step in steps for probe in step.probes]))
            raise


def _first_unreached(probes: Sequence[Probe]) -> str:
    values: Dict[int, np.ndarray] = {}
    for place, array, position in probes:
        if id(array) not in values:
            values[id(array)] = array.asnumpy()
        if values[id(array)][position] != 0:
            return place
    return "after the last layer"


class Loss(mx.nd.NDArray):
    """A sum of losses, shape (1,). Where it is waited for, errors come with their stage, layer and micro-batch."""

    __slots__ = ("_probes", "_count")

    @classmethod
    def of(cls, losses: Sequence[mx.nd.NDArray], probes: Probes, count: int) -> Loss:
        """The sum of arrays of shape (1,), which belong to the ``count``-th step; nothing waits."""
        total = cls(_new_alloc_handle((1,), losses[0].context, True, losses[0].dtype))
        total._probes, total._count = probes, count
        return mx.nd.add_n(*losses, out=total)

    def wait_to_read(self) -> None:
        """Wait until the loss, and the step that it is of, are there."""
        self._probes.check(self._count)
        super().wait_to_read()

    def asnumpy(self) -> np.ndarray:
        """The loss as a numpy array; waits for the step that it is of."""
        self._probes.check(self._count)
        return super().asnumpy()
