"""Updates that gradients of NaN or infinity would spoil, taken back by the device itself.

Whether a step's gradients are finite is known only once they are computed, long after the update was issued. So every
array that an update changes is copied before and after it, and the device itself takes one of both copies back.
"""
from __future__ import annotations

from typing import Any, Dict, Iterator, List, Sequence, Tuple

import mxnet as mx

Key = Tuple[mx.Context, Any]  # a context, and the type of numbers


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
            mx.nd.take(pair, self._flag(array.context), out=array.reshape((1, *array.shape)))

    def _flag(self, context: mx.Context) -> mx.nd.NDArray:
        if context not in self._made:
            self._made[context] = next(iter(self._made.values())).as_in_context(context)
        return self._made[context]

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
