"""Updates that gradients of NaN or infinity would spoil, left out or taken back by the device itself.

Whether a step's gradients are finite is known only once they are computed, long after the update was issued. MXNet has
one operator that looks for itself: AdamW's, which leaves everything as it is where the number that it multiplies
gradients by is 0 or not finite. Of other optimizers every array that an update changes is copied before and after it,
and the device takes one of both copies back; that moves two to three times as much memory.
"""
from __future__ import annotations

import math
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import Parameter

Key = Tuple[mx.Context, Any]  # a context, and the type of numbers


class SkippingAdam:
    """Updates arrays as MXNet's Adam does an updater's, with the gradients times a ``factor``, a number (1,) that may
    still be being computed; where that is 0 or not finite, nothing changes.

    The operator rounds otherwise than Adam's own, and leaves gradients behind that are multiplied already.
    """

    def __init__(self, optimizer: mx.optimizer.Optimizer, factor: mx.nd.NDArray) -> None:
        self._factors = {factor.context: factor * optimizer.rescale_grad}
        self._options = {"beta1": optimizer.beta1, "beta2": optimizer.beta2, "epsilon": optimizer.epsilon,
                         "clip_gradient": optimizer.clip_gradient or -1, "eta": 1.0, "wd": 0.0}

    @staticmethod
    def does(optimizer: mx.optimizer.Optimizer, parameters: Sequence[Parameter]) -> bool:
        """Whether it is Adam that updates all of these, in float32 and without weight decay, and no gradient is kept
        to be added to."""
        return type(optimizer) is mx.optimizer.Adam and not optimizer.wd and all(
            parameter.grad_req == "write" and np.dtype(parameter.dtype) == np.float32 for parameter in parameters)

    def __call__(self, updater: mx.optimizer.Updater, indices: Sequence[int], grads: Sequence[mx.nd.NDArray],
                 weights: Sequence[mx.nd.NDArray]) -> None:
        optimizer = updater.optimizer
        for index, grad, weight in zip(indices, grads, weights):
            array, mean, variance = _changed(updater, index, weight)
            optimizer._set_current_context(array.context.device_id)
            optimizer._update_count(index)
            t = optimizer._index_update_count[index]
            rate = optimizer._get_lr(index) * math.sqrt(1 - optimizer.beta2 ** t) / (1 - optimizer.beta1 ** t)
            mx.nd.contrib.adamw_update(array, grad.as_nd_ndarray(), mean, variance, on(self._factors, array.context),
                                       out=array, lr=rate, **self._options)


class Undo:
    """Updates arrays as an MXNet updater does, but leaves them bit by bit as they were where ``made``, a number (1,)
    that may still be being computed, is 0 and not 1.

    All updates share the memory for their copies. So they wait for each other, and need little more of it than the
    largest parameters that are updated at once, with their states, twice.
    """

    def __init__(self, made: mx.nd.NDArray) -> None:
        self._made, self._memory = {made.context: made}, {}  # type: Dict[mx.Context, mx.nd.NDArray], Dict[Key, Any]

    def __call__(self, updater: mx.optimizer.Updater, indices: Sequence[int], grads: Sequence[mx.nd.NDArray],
                 weights: Sequence[mx.nd.NDArray]) -> None:
        arrays = [array for i, weight in zip(indices, weights) for array in _changed(updater, i, weight)]
        pairs = self._pairs(arrays)
        for array, pair in zip(arrays, pairs):
            array.copyto(pair[0])
        updater(indices, grads, weights)
        for array, pair in zip(arrays, pairs):
            array.copyto(pair[1])
            # `where` reads a flag of its own for every row or number, and takes three to ten times as long
            mx.nd.take(pair, on(self._made, array.context), out=array.reshape((1, *array.shape)))

    def _pairs(self, arrays: Sequence[mx.nd.NDArray]) -> List[mx.nd.NDArray]:
        """Memory for two copies of each array, (2, *shape)."""
        ends: Dict[Key, int] = {}
        places = []
        for array in arrays:
            key = array.context, array.dtype
            start = ends.get(key, 0)
            ends[key] = start + 2 * array.size
            places.append((key, start))
        for key, size in ends.items():
            if key not in self._memory or self._memory[key].size < size:
                self._memory[key] = mx.nd.empty((size,), *key)
        return [self._memory[key][start:start + 2 * array.size].reshape((2, *array.shape))
                for array, (key, start) in zip(arrays, places)]


def on(copies: Dict[mx.Context, mx.nd.NDArray], context: mx.Context) -> mx.nd.NDArray:
    """The one on a ``context`` of an array's ``copies``, made where there is none yet."""
    if context not in copies:
        copies[context] = next(iter(copies.values())).as_in_context(context)
    return copies[context]


def _changed(updater: mx.optimizer.Updater, index: int, weight: mx.nd.NDArray) -> Iterator[mx.nd.NDArray]:
    """What an update changes: the weight, and its states, which are made or moved now and not in the update."""
    weight = weight.as_nd_ndarray()
    if index not in updater.states:
        updater.states[index] = updater.optimizer.create_state_multi_precision(index, weight)
    elif not updater.states_synced[index]:
        updater.states[index] = updater.sync_state_context(updater.states[index], weight.context)
    updater.states_synced[index] = True
    yield weight
    yield from arrays_of(updater.states[index])


def arrays_of(states: Any) -> Iterator[mx.nd.NDArray]:
    """The arrays among an optimizer's states of one parameter, which may be nested."""
    if isinstance(states, mx.nd.NDArray):
        yield states
    elif isinstance(states, (list, tuple)):
        for each in states:
            yield from arrays_of(each)
