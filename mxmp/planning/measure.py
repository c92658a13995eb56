"""Time one layer, and the link from one context to another."""
from __future__ import annotations

import time
from statistics import median
from typing import Any, Callable, List, Sequence, Tuple

import mxnet as mx
from mxnet import autograd

from ..nn.chain import as_tuple
from ..nn.operators import is_float, is_recorded
from .device import Link

_WARM_UP = 2  # the first calls trace, choose kernels and take memory
_SMALL, _LARGE = 1 << 8, 1 << 22  # float32 numbers: 1 KiB, 16 MiB


def time_layer(call: Callable, arrays: Sequence[Any], trains: bool, repeats: int) -> Tuple[float, float, Tuple]:
    """Medians of a layer's forward and backward seconds, over ``repeats`` after two that do not count, and its outputs.

    ``call`` is the layer; of its inputs, which may be other things than arrays, those of a floating-point type get
    gradients; ``trains`` says whether it has parameters with gradients.
    """
    arrays = _detached(arrays)
    for array in _floats(arrays):
        array.attach_grad()
    trains = trains or bool(_floats(arrays))
    forward: List[float] = []
    backward: List[float] = []
    outs: Tuple = ()
    for _ in range(_WARM_UP + repeats):
        mx.nd.waitall()
        begin = time.perf_counter()
        with autograd.record():
            out = call(*arrays)
        mx.nd.waitall()
        forward.append(time.perf_counter() - begin)
        outs = as_tuple(out)
        heads = [a for a in _floats(outs) if is_recorded(a) and not any(a is b for b in arrays)] if trains else []
        grads = [head.ones_like() for head in heads]
        mx.nd.waitall()
        begin = time.perf_counter()
        if heads:
            autograd.backward(heads, grads)
        mx.nd.waitall()
        backward.append(time.perf_counter() - begin)
    return median(forward[_WARM_UP:]), median(backward[_WARM_UP:]), _detached(outs)


def _detached(values: Sequence[Any]) -> Tuple:
    return tuple(value.detach() if isinstance(value, mx.nd.NDArray) else value for value in values)


def _floats(values: Sequence[Any]) -> List[mx.nd.NDArray]:
    return [value for value in values if isinstance(value, mx.nd.NDArray) and is_float(value)]


def time_link(source: mx.Context, target: mx.Context, repeats: int) -> Link:
    """The link from one context to another: what a small copy takes, and the bandwidth of a large one."""
    small, large = (median(_copies(source, target, size, repeats)) for size in (_SMALL, _LARGE))
    return Link(small, 4 * (_LARGE - _SMALL) / max(large - small, 1e-9))


def _copies(source: mx.Context, target: mx.Context, size: int, repeats: int) -> List[float]:
    array = mx.nd.ones((size,), ctx=source)
    seconds = []
    for _ in range(_WARM_UP + repeats):
        mx.nd.waitall()
        begin = time.perf_counter()
        array.copyto(target).wait_to_read()
        seconds.append(time.perf_counter() - begin)
    return seconds[_WARM_UP:]
