"""Find out where an error happened that MXNet raised only when somebody waited."""
from __future__ import annotations

from collections import deque
from typing import Deque, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.ndarray.ndarray import _new_alloc_handle

from .errors import add_place

Probe = Tuple[str, mx.nd.NDArray]  # a place, and a small array that is there once the work there is done

_MOST = 20_000  # for programs that never look at a loss: older probes are dropped


class Probes:
    """What has been issued since somebody last looked, in an order in which causes come before effects.

    MXNet hands an operator's failure on to all that depends on it, and raises it, without a place, where one of
    them is waited for. Waited for in this order, the first probe to fail is the place where it began. This module
    waits: in `check`, and in the methods of a loss that wait anyway.
    """

    def __init__(self) -> None:
        self._pending: Deque[Probe] = deque()
        self._checked = 0

    def add(self, probes: Sequence[Probe]) -> int:
        """Append probes; returns how many there have been."""
        self._pending.extend(probes)
        while len(self._pending) > _MOST:
            self._next()
        return self._checked + len(self._pending)

    def _next(self) -> Probe:
        self._checked += 1
        return self._pending.popleft()

    def check(self, count: Optional[int] = None) -> None:
        """Wait for the first ``count`` probes (default: all); an error goes on as itself, its place in its message."""
        while self._pending and (count is None or self._checked < count):
            place, array = self._next()
            try:
                array.wait_to_read()
            except mx.MXNetError as error:
                while self._pending:
                    self._next()
                add_place(error, place)
                raise


class Loss(mx.nd.NDArray):
    """A sum of losses, shape (1,). Where it is waited for, errors come with their stage, layer and micro-batch."""

    __slots__ = ("_probes", "_count")

    @classmethod
    def of(cls, losses: Sequence[mx.nd.NDArray], probes: Probes, count: int) -> Loss:
        """The sum of arrays of shape (1,), which depend on the first ``count`` probes; nothing waits."""
        total = cls(_new_alloc_handle((1,), losses[0].context, True, losses[0].dtype))
        total._probes, total._count = probes, count
        return mx.nd.add_n(*losses, out=total)

    def wait_to_read(self) -> None:
        """Wait until the loss is there."""
        self._probes.check(self._count)
        super().wait_to_read()

    def asnumpy(self) -> np.ndarray:
        """The loss as a numpy array; waits for it."""
        self._probes.check(self._count)
        return super().asnumpy()
