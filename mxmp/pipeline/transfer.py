"""Arrays from one stage to the next."""
from __future__ import annotations

import mxnet as mx


def fresh(array: mx.nd.NDArray, context: mx.Context) -> mx.nd.NDArray:
    """A copy on another context or, on its own, a new handle of the array.

    Two recorded graphs must not share an input handle without a gradient: the first one's backward pass would clear
    the node that the second still needs.
    """
    return array.detach() if array.context == context else array.as_in_context(context)


def copied(array: mx.nd.NDArray, context: mx.Context) -> mx.nd.NDArray:
    """A copy with memory of its own, whatever the context."""
    return array.copyto(context)
