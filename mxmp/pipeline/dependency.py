"""Make MXNet's engine run a stage's units one after the other, without anybody waiting."""
from __future__ import annotations

from typing import Dict, List, Sequence

import mxnet as mx
import numpy as np
from mxnet import autograd


class Dependency:
    """Ties each unit of a stage to the one before it, from step to step, on the stage's ``context``.

    The engine runs whatever is ready, first come first served: of eight micro-batches that wait at a stage of two
    layers it would run the first layer for all eight before the second layer for any, so that the next stage starts
    late and 1F1B holds as many activations as fill-drain. A zero that is made of tokens, arrays that are there once a
    unit has ended, is therefore taken from one element of each of the next unit's inputs: to the engine, that unit
    depends on the one before it.
    """

    def __init__(self, context: mx.Context) -> None:
        self._context = context
        self._tokens: List[mx.nd.NDArray] = []
        self._corners: Dict[int, mx.nd.NDArray] = {}  # by number of axes, as large as a first element

    def enter(self, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Let all that is done with a unit's arrays wait for the unit before it; their memory must be their own."""
        if not self._tokens:
            return
        zero = mx.nd.zeros_like(mx.nd.add_n(*self._tokens))  # whatever the tokens are: an error leaves them unset
        for array in arrays:
            if array.dtype == np.bool_:  # MXNet 1.9.1 has no operator to do it with; a bool array comes beside others
                continue
            # adding the zero would make a positive zero of a negative one
            first = self._first(array) - zero.astype(array.dtype, copy=False)
            corner = (1,) * array.ndim
            mx.nd._internal._slice_assign(array, first.reshape(corner), (0,) * array.ndim, corner, out=array)

    def leave(self, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Let the next unit wait until a unit's results are there."""
        if arrays:
            self._tokens = [self.token(array) for array in arrays]

    def latest(self) -> mx.nd.NDArray:
        """An array that is there once the latest unit has ended."""
        return mx.nd.add_n(*self._tokens)

    def token(self, array: mx.nd.NDArray) -> mx.nd.NDArray:
        """A copy of the array's first element, shape (1,), which is there once the array is."""
        with autograd.pause():  # a recorded token would keep the whole graph alive
            return self._first(array if array.dtype != np.bool_ else array.astype("uint8")).astype("float32")

    def _first(self, array: mx.nd.NDArray) -> mx.nd.NDArray:
        """A copy of the first element, shape (1,).

        A view of what a convolution puts out, in a layout of oneDNN's own, cannot be read, and writing through it goes
        astray. Of the operators that could take its place, ``slice`` crashes then, and ``gather_nd`` holds one of four
        temporary spaces from when it is issued, for which other operators have to wait.
        """
        if array.ndim not in self._corners:
            self._corners[array.ndim] = mx.nd.zeros((1,) * array.ndim, self._context)
        return mx.nd.slice_like(array, self._corners[array.ndim]).reshape((1,))
