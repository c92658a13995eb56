"""Operators that MXNet 1.9.1 lacks, or is slow at: on any context, on arrays and symbols."""
from __future__ import annotations

from typing import Any, Sequence

import mxnet as mx
import numpy as np
from mxnet.util import is_np_array


def side_by_side(F: Any, left: Any, right: Any) -> Any:
    """(T, N, C) and (T, N, C) to (T, N, 2C), what ``concat(dim=-1)`` gives.

    MXNet 1.9.1's ``concat`` along the last axis is slow on CPUs: forward and backward took 12.1 ms for two arrays of
    (16, 64, 384), ``stack`` and ``reshape`` 1.3 ms (docs/benchmarks.md has the program).
    """
    return F.reshape(F.stack(left, right, axis=2), shape=(0, 0, -3))


def time_first(F: Any, data: Any, layout: str) -> Any:
    """An array of a layout, 'NTC' or 'TNC', time first; or one that is time first in this layout."""
    return F.swapaxes(data, 0, 1) if layout == "NTC" else data


def total(F: Any, data: Any, size: int, dtype: str) -> Any:
    """The sums of (A, B, V) ``data`` over its last axis, (A, B); V is ``size``, or 0 if a symbol is to find it out.

    A product with ones: MXNet 1.9.1's reduction takes ten times as long on CPUs (docs/benchmarks.md has the program).
    """
    known = {} if F is mx.sym else {"ctx": data.context}
    summed = F.FullyConnected(data, F.ones(shape=(1, size), dtype=dtype, **known), num_hidden=1, no_bias=True,
                              flatten=False)  # (A, B, 1)
    return F.reshape(summed, shape=(0, 0))


def within(F: Any, lengths: Any, data: Any, axis: int, least: int = 0) -> Any:
    """Lengths (N,) of any numeric type as float32 from ``least`` to the number of steps of ``data`` along ``axis``.

    MXNet 1.9.1's SequenceMask and SequenceReverse write outside of their arrays for lengths that are negative, infinite
    or NaN (0 here), and SequenceReverse does for those above the number of steps. What they leave as the gradient of
    floating-point lengths is whatever was in memory; here it is 0.
    """
    steps = F.cast(F.slice_axis(F.shape_array(data), axis=0, begin=axis, end=axis + 1), dtype="float32")  # (1,)
    lengths = F.BlockGrad(F.cast(lengths, dtype="float32"))
    lengths = F.where(lengths > 0, lengths, F.zeros_like(lengths))
    return F.broadcast_minimum(F.clip(lengths, least, 2 ** 24), steps)


def take_rows(array: Any, begin: int, end: int) -> Any:
    """Rows ``begin`` to ``end - 1`` of an array or symbol (R, ...), (end - begin, ...)."""
    F = mx.sym if isinstance(array, mx.sym.Symbol) else mx.nd
    return (F.npx if is_np_array() else F).slice(array, begin=(begin,), end=(end,))


def join_rows(arrays: Sequence[Any]) -> Any:
    """Arrays or symbols (R, ...), each with an R of its own, one after the other on the last one's context."""
    F = mx.sym if isinstance(arrays[-1], mx.sym.Symbol) else mx.nd
    if F is mx.nd:
        arrays = [array.as_in_context(arrays[-1].context) for array in arrays]
    return F.np.concatenate(arrays, axis=0) if is_np_array() else F.concat(*arrays, dim=0)


def is_recorded(array: mx.nd.NDArray) -> bool:
    """Whether an array is part of a recorded graph; MXNet tells only by refusing to show the graph."""
    try:
        mx.autograd.get_symbol(array)
    except mx.MXNetError:
        return False
    return True


def is_float(array: mx.nd.NDArray) -> bool:
    """Whether an array can have a gradient."""
    return bool(np.issubdtype(array.dtype, np.floating))
