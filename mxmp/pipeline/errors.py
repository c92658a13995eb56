"""Errors that say where in the pipeline they happened, those too that MXNet raises only when somebody waits."""
from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from functools import wraps
from threading import RLock
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.ndarray.ndarray import _new_alloc_handle

from ..schedule import Unit
from .dependency import Dependency

_MOST = 1000  # steps, for programs that never look at a loss: older ones are dropped


@contextmanager
def located(place: str) -> Iterator[None]:
    """Let an exception that is raised inside go on as itself, with ``place`` at the end of its message."""
    try:
        yield
    except Exception as error:
        hint = "; a block that cannot be hybridized runs with Pipeline(hybridize=False)"
        add_place(error, place + (hint if "Symbol" in str(error) else ""))
        raise


def add_place(error: Exception, place: str) -> None:
    """Append a place to an exception's message."""
    message = str(error.args[0]) if error.args else type(error).__name__
    lines = "\n" if "\n" in message else " "  # MXNet's messages end with a stack trace
    error.args = (f"{message}{lines}({place})", *error.args[1:])


class Probe(NamedTuple):
    """A place in words, and the element of an array that becomes 0 once the work there is done."""

    place: str
    array: mx.nd.NDArray
    position: int


class StageProbes:
    """The probes of one stage in one step, at most ``size`` of them on its context, by unit."""

    def __init__(self, stage: str, context: mx.Context, dependency: Dependency, size: int) -> None:
        self._stage, self._dependency, self.count = stage, dependency, 0
        self.doing = ""  # what the stage's thread is in now, in words
        self._reached = mx.nd.ones((size,), context)
        self.by_unit: Dict[Unit, List[Probe]] = {}

    def describe(self, unit: Unit) -> str:
        """A unit in words."""
        return (f"{self._stage}, {'forward' if unit.kind == 'F' else 'backward'} pass of micro-batch "
                f"{unit.microbatch}" + (f", chunk {unit.chunk}" if unit.chunk else ""))

    @contextmanager
    def located(self, unit: Unit, work: str) -> Iterator[None]:
        """As `located`, for one ``work`` of a unit, which is what the stage is doing meanwhile."""
        self.doing = f"{self.describe(unit)}, {work}"
        with located(self.doing):
            yield
        self.doing = ""

    def add(self, unit: Unit, work: str, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Let a probe be reached when what was issued last, whose results are ``arrays``, is done."""
        for array in arrays[:1]:
            with autograd.pause():
                mx.nd.zeros_like(self._dependency.token(array), out=self._reached[self.count:self.count + 1])
            probe = Probe(f"{self.describe(unit)}, {work}", self._reached, self.count)
            self.by_unit.setdefault(unit, []).append(probe)
            self.count += 1


class Issued(NamedTuple):
    """A step that was issued: its probes, causes before effects, and an array that is there once all its work is."""

    probes: Sequence[Probe]
    fence: mx.nd.NDArray


class Probes:
    """The steps that have been issued since somebody last looked.

    MXNet skips what depends on a failed operator, and raises the error where any of it is waited for, once and without
    a place; what is skipped no more then works on memory that was never set, and may crash. So a whole step is
    waited for at once, and its place is found afterwards: by the first probe that was not reached. This file
    waits: in `check`, and in the methods of a loss that wait anyway.
    """

    def __init__(self) -> None:
        self._pending: Deque[Issued] = deque()
        self._checked = 0
        self._lock = RLock()  # a loss may be waited for in one thread while another one issues

    def add(self, probes: Sequence[Probe], contexts: Sequence[mx.Context]) -> Tuple[int, Issued]:
        """Append a step, given its probes; returns how many there have been, and the step."""
        arrays: Dict[int, mx.nd.NDArray] = {id(probe.array): probe.array for probe in probes}
        ends = [array[:1].as_in_context(contexts[-1]) for array in arrays.values()]
        # add_n would hold one of the thread's four temporary spaces until all stages are done, and so stop what other
        # steps let this thread's stage work on meanwhile
        issued = Issued(probes, mx.nd.stack(*ends))
        with self._lock:
            self._pending.append(issued)
            self._forget(self._checked + len(self._pending) - _MOST)
            return self._checked + len(self._pending), issued

    def _forget(self, count: int) -> None:
        """Look no more at the first ``count`` steps."""
        with self._lock:
            while self._checked < count:
                self._pending.popleft()
                self._checked += 1

    def check(self, count: Optional[int] = None) -> None:
        """Wait for the first ``count`` steps (default: all); an error goes on as itself, its place in its message.

        If the error was raised already, where something else waited, a RuntimeError says the place.
        """
        with self._lock:
            issued = self._checked + len(self._pending)
            count = issued if count is None else count
            steps = list(self._pending)[:max(0, count - self._checked)]
        if not steps:
            return
        probes = [probe for step in steps for probe in step.probes]
        try:
            steps[-1].fence.wait_to_read()  # each stage's work is in order, so those before are there, too
        except mx.MXNetError as error:
            self._forget(issued)
            add_place(error, _first_unreached(probes) or "after the last layer")
            raise
        place = _first_unreached(probes)
        self._forget(issued if place else count)
        if place:
            raise RuntimeError("an operator of a step failed; its error was raised where something else waited for its "
                               f"results ({place})")


def _first_unreached(probes: Sequence[Probe]) -> Optional[str]:
    values: Dict[int, np.ndarray] = {}
    for place, array, position in probes:
        if id(array) not in values:
            values[id(array)] = array.asnumpy()
        if values[id(array)][position] != 0:
            return place
    return None


class Loss(mx.nd.NDArray):
    """A sum of losses, shape (1,), or what was computed from such sums.

    Where it is waited for, errors come with their stage, layer and micro-batch.
    """

    __slots__ = ("_probes", "_count")

    @classmethod
    def of(cls, losses: Sequence[mx.nd.NDArray], probes: Probes, count: int) -> Loss:
        """The sum of arrays of one shape, which belong to the ``count``-th step; nothing waits."""
        total = cls(_new_alloc_handle(losses[0].shape, losses[0].context, True, losses[0].dtype))
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

    def backward(self, *args: Any, **kwargs: Any) -> None:
        """Refuse what Gluon's loop does after the forward pass."""
        raise RuntimeError("a pipeline's loss has gone backward already, in forward_backward, or belongs to a call "
                           "without gradients; leave loss.backward() out and call Trainer.step")


def _keeping_place(name: str) -> Callable:
    """An operation of NDArray's whose result is a `Loss`, too."""
    def method(self: Loss, *args: Any, **kwargs: Any) -> Loss:
        with autograd.pause():
            result = getattr(mx.nd.NDArray, name)(self, *args, **kwargs)
            counts = [other._count for other in args if isinstance(other, Loss) and other._probes is self._probes]
            return Loss.of([result], self._probes, max([self._count, *counts]))
    return wraps(getattr(mx.nd.NDArray, name))(method)


for _name in ("__add__ __radd__ __iadd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __pow__ __neg__ "
              "__abs__ __getitem__ abs astype as_in_context copy detach exp log mean reshape sqrt square sum").split():
    setattr(Loss, _name, _keeping_place(_name))
