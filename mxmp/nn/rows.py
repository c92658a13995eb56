"""Cut and join arrays and symbols along their first axis, legacy and NumPy ones, on any context."""
from __future__ import annotations

from typing import Any, Sequence

import mxnet as mx
from mxnet.util import is_np_array


def take_rows(array: Any, begin: int, end: int) -> Any:
    """Rows ``begin`` to ``end - 1`` of an array or symbol (R, ...), (end - begin, ...)."""
    F = mx.sym if isinstance(array, mx.sym.Symbol) else mx.nd
    return (F.npx if is_np_array() else F).slice(array, begin=(begin,), end=(end,))


def join_rows(parts: Sequence[Any]) -> Any:
    """Arrays or symbols (R, ...), each with an R of its own, one after the other on the last one's context."""
    F = mx.sym if isinstance(parts[-1], mx.sym.Symbol) else mx.nd
    if F is mx.nd:
        parts = [part.as_in_context(parts[-1].context) for part in parts]
    return F.np.concatenate(parts, axis=0) if is_np_array() else F.concat(*parts, dim=0)
