"""The loss at the end of the last stage."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, Tuple

import mxnet as mx
from mxnet import autograd

from ..nn.operators import is_float
from .cut import Arrays, join_chunks, split
from .transfer import fresh


class LossHead:
    """A loss over each micro-batch's whole time in one step, whatever chunks (of ``steps``) its outputs come in.

    Losses may weigh steps against each other (Gluon's are means over time), so that the sum of the chunks' losses
    would be another number. The chain's outputs are handed over as new variables: the loss's backward pass ends at
    them, and each chunk's backward unit goes on from its part of their gradients.
    """

    def __init__(self, loss: Callable, context: mx.Context, layout: str, steps: Sequence[int] = (0,)) -> None:
        self._loss, self._context, self._layout, self._steps = loss, context, layout, steps
        self._chunks: Dict[int, List[Arrays]] = {}  # by micro-batch
        self._live: Dict[int, Tuple[Arrays, mx.nd.NDArray]] = {}  # outputs and loss

    @property
    def dtype(self) -> Any:
        """Type of the losses."""
        return next(iter(self._live.values()))[1].dtype

    def forward(self, microbatch: int, outputs: Arrays, labels: Sequence[Any], training: bool) -> Arrays:
        """Take a chunk's outputs; with the last one, return the micro-batch's loss, shape (1,), else nothing."""
        chunks = self._chunks.setdefault(microbatch, [])
        chunks.append(outputs)
        if len(chunks) < len(self._steps):
            return ()
        del self._chunks[microbatch]
        outputs = join_chunks(chunks, self._steps, self._layout) if len(chunks) > 1 else outputs
        labels = [fresh(label, self._context) for label in labels]
        if not training:
            return (self._loss(*outputs, *labels).sum(),)
        for array in outputs:
            if is_float(array):
                array.attach_grad()
        with autograd.record():
            total = self._loss(*outputs, *labels).sum()
        self._live[microbatch] = outputs, total
        return (total.detach(),)

    def backward(self, microbatch: int, one: mx.nd.NDArray) -> List[List[mx.nd.NDArray]]:
        """The gradients of every chunk's floating-point outputs, by chunk.

        ``one``, shape (1,), is the loss's own gradient: where it waits for something, the backward pass does.
        """
        outputs, total = self._live.pop(microbatch)
        autograd.backward([total], [one], retain_graph=True)  # as in StageStep.backward
        grads = [array.grad for array in outputs if array.grad is not None]
        if len(self._steps) == 1:
            return [grads]
        axis = self._layout.index("T")
        return [list(parts) for parts in zip(*(split(grad, axis, self._steps) for grad in grads))]
