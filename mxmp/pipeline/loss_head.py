"""The loss at the end of the last stage."""
from __future__ import annotations

from contextlib import suppress
from typing import Any, Dict, List, Tuple

import mxnet as mx
from mxnet import autograd

from ..nn.operators import is_float
from .cut import Feed, batch_axis, concat, join_chunks, split
from .packed import Arrays, Packed
from .stage import Stage
from .transfer import fresh


class LossHead:
    """A stage's loss over each micro-batch's whole time in one step, whatever chunks its outputs come in.

    Losses may weigh steps against each other (Gluon's are means over time), so that the sum of the chunks' losses
    would be another number. The chain's outputs are handed over as new variables: the loss's backward pass ends at
    them, and each chunk's backward unit goes on from its part of their gradients.
    """

    def __init__(self, stage: Stage, feed: Feed) -> None:
        self._stage, self._feed, self._labels = stage, feed, feed.labels or []
        self._loss: Any = stage.loss
        self._chunks: Dict[int, List[Packed]] = {}  # by micro-batch
        self._joined: Dict[int, Packed] = {}  # all chunks' outputs, of micro-batches whose loss is yet to be recorded
        self._live: Dict[int, Tuple[Arrays, mx.nd.NDArray]] = {}  # outputs and loss

    @property
    def dtype(self) -> Any:
        """Type of the losses."""
        return next(iter(self._live.values()))[1].dtype

    def forward(self, microbatch: int, outputs: Packed, recorded: bool = True) -> Packed:
        """Take a chunk's outputs; with the last one, return the micro-batch's loss, shape (1,), else nothing.

        In training, without ``recorded``, its graph is left to `record`, and only what that does not get is kept.
        """
        chunks = self._chunks.setdefault(microbatch, [])
        chunks.append(outputs)
        if len(chunks) < len(self._feed.steps):
            return Packed((), ())
        del self._chunks[microbatch]
        if len(chunks) > 1:
            outputs = outputs._replace(arrays=join_chunks([chunk.arrays for chunk in chunks], self._feed.steps,
                                                          self._feed.layout))
            if not recorded:
                self._joined[microbatch] = outputs
        if recorded and self._feed.wanted is not None:
            return Packed((self.record(microbatch, outputs),), ())
        return Packed((self._total(outputs, microbatch),), ())

    def record(self, microbatch: int, outputs: Packed) -> mx.nd.NDArray:
        """The loss of a micro-batch's outputs, of its last chunk's if `forward` kept all; its graph is for `backward`.
        """
        outputs = self._joined.pop(microbatch, outputs)
        for array in outputs.arrays:
            if is_float(array):
                array.attach_grad()
        with autograd.record():
            total = self._total(outputs, microbatch)
        self._live[microbatch] = outputs.arrays, total
        return total.detach()

    def describe(self, microbatch: int, outputs: Packed) -> str:
        """What the loss is called with, in words."""
        return (f"called with the chain's outputs, of shapes {[array.shape for array in outputs.arrays]}, and then the "
                f"labels, of shapes {[label.shape for label in self._labels[microbatch].arrays]}")

    def _total(self, outputs: Packed, microbatch: int) -> mx.nd.NDArray:
        """The sum of a micro-batch's losses or, for a mean over the batch, its share of that; shape (1,)."""
        labels = self._labels[microbatch]
        labels = labels._replace(arrays=tuple(fresh(label, self._stage.context) for label in labels.arrays))
        losses = self._loss(*outputs.unpack(), *labels.unpack())
        rows = self._feed.rows[microbatch]
        if not isinstance(losses, mx.nd.NDArray):
            raise ValueError(f"the loss returned a {type(losses).__name__}; let it return one array, with a loss for "
                             "each row")
        if sum(self._feed.rows) > 1 and not (rows in losses.shape and self._grow(losses, outputs, labels, rows)):
            raise ValueError(
                f"the loss returned an array of shape {losses.shape} for a micro-batch of {rows} rows ("
                f"{self._feed.layout}), where a pipeline adds up a loss for each row; leave the batch axis in it "
                "(Gluon's losses do with batch_axis, 1 for TNC), and take the mean by Trainer.step(batch_size) or "
                "Pipeline(reduction='mean')")
        total = losses.as_nd_ndarray().sum()
        total = total if total.shape else total.reshape((1,))  # NumPy's shape of a sum
        return total if self._stage.reduction == "sum" else total / sum(self._feed.rows)

    def _grow(self, losses: mx.nd.NDArray, outputs: Packed, labels: Packed, rows: int) -> bool:
        """Whether more rows give more losses.

        Where another axis is as long as the batch's, or there is one row, shapes do not tell; then the loss is called
        once more, for another number of rows. If it cannot be, it is trusted.
        """
        if self._stage.rows_found or rows > 1 and all(array.shape.count(rows) < 2 for array in outputs.arrays):
            return True

        def other_rows(packed: Packed) -> Tuple:
            arrays = []
            for array in packed.arrays:
                axis = batch_axis(array, self._feed.layout)
                axis = axis if array.shape[axis] == rows else array.shape.index(rows)
                arrays.append(concat(split(array, axis, [1, rows - 1])[:1] if rows > 1 else [array, array], axis))
            return packed._replace(arrays=tuple(arrays)).unpack()

        with autograd.pause(), suppress(mx.MXNetError, ValueError):
            others = self._loss(*other_rows(outputs), *other_rows(labels))
            if others.size * rows != losses.size * (1 if rows > 1 else 2):
                return False
        self._stage.rows_found = True
        return True

    def backward(self, microbatch: int, one: mx.nd.NDArray) -> List[List[mx.nd.NDArray]]:
        """The gradients of every chunk's floating-point outputs, by chunk.

        ``one``, shape (1,), is the loss's own gradient: where it waits for something, the backward pass does.
        """
        outputs, total = self._live.pop(microbatch)
        asked = [array for array in outputs if array.grad is not None]
        self._stage.loss_backward([total], [one], lambda: [*self._stage.variables(), *asked],
                                  (len(asked), *self._stage.choice))
        grads = [array.grad for array in asked]
        if len(self._feed.steps) == 1:
            return [grads]
        axis = self._feed.layout.index("T")
        return [list(parts) for parts in zip(*(split(grad, axis, self._feed.steps) for grad in grads))]
