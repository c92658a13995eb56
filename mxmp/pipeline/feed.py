"""A batch, cut for one step."""
from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Union

import mxnet as mx
from mxnet import autograd

from .cut import Arrays, Pieces, cut, size_along, sizes

Data = Union[mx.nd.NDArray, Sequence[mx.nd.NDArray]]


@dataclass
class Feed:
    """What a step works on: arrays by micro-batch and chunk."""

    inputs: Pieces
    labels: Optional[Pieces]  # not cut in time: their chunk is 0; None stands for no loss
    rows: List[int]  # of each micro-batch
    steps: List[int]  # of each chunk; one chunk has 0, however long it is
    wanted: Optional[List[bool]]  # which inputs need gradients; None stands for a forward pass only

    @classmethod
    def of(cls, data: Data, label: Optional[Data], layout: str, num_microbatches: int, num_chunks: int,
           training: bool) -> Feed:
        """Cut a batch into micro-batches and chunks, or into fewer where it has fewer rows or steps; a ValueError says
        if its arrays' batch or time axes differ, or are empty."""
        arrays, labels = _as_tuple(data), _as_tuple(() if label is None else label)
        batch_size = size_along(arrays + labels, layout, "N")
        rows, steps = sizes(batch_size, min(num_microbatches, batch_size)), [0]
        if num_chunks > 1:
            length = size_along(arrays, layout, "T")
            steps = sizes(length, min(num_chunks, length))
        wanted = [training and array.grad is not None for array in arrays]
        with autograd.record() if any(wanted) else autograd.pause():
            # a reshaped array is another node of the graph than its own, even if it is not cut and given twice
            inputs = cut([array.reshape(array.shape) if asked else array for array, asked in zip(arrays, wanted)],
                         layout, rows, steps)
        return cls(inputs, None if label is None else cut(labels, layout, rows, [0]), rows, steps,
                   wanted if training else None)

    def hand_back(self, grads: Pieces) -> None:
        """Let the inputs' gradients, given by micro-batch and chunk, reach the arrays that the inputs were cut from."""
        heads, head_grads = [], []
        for key, pieces in self.inputs.items():
            asked = [piece for piece, wanted in zip(pieces, self.wanted or ()) if wanted]
            for piece, grad in zip(asked, grads[key]):
                heads.append(piece)
                head_grads.append(grad.as_in_context(piece.context))
        if heads:
            autograd.backward(heads, head_grads)


def _as_tuple(data: Data) -> Arrays:
    return tuple(data) if isinstance(data, (tuple, list)) else (data,)
