"""Batch first to time first, and back."""
from __future__ import annotations

from typing import Any

from mxnet.gluon import HybridBlock


class TimeFirst(HybridBlock):
    """Exchange the first two axes: a pipeline cuts batches along the first, recurrent layers run along it.

    Inputs
    ------
    - **data**: (N, T, ...), or (T, N, ...), of any type.

    Outputs
    -------
    - **out**: (T, N, ...), or (N, T, ...), of the same type.
    """

    def hybrid_forward(self, F: Any, data: Any) -> Any:
        return F.swapaxes(data, 0, 1)

    def __repr__(self) -> str:
        return type(self).__name__
