"""Cut a batch into micro-batches and time chunks for one step, and put their results together again."""
from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import mxnet as mx
import numpy as np
from mxnet import autograd

from ..nn.chain import as_tuple
from ..sizes import even_sizes
from .packed import Arrays, Packed, pack, pack_outputs

Pieces = Dict[Tuple[int, int], Arrays]  # by micro-batch and chunk
LAYOUTS = ("NTC", "TNC")


def batch_axis(array: mx.nd.NDArray, layout: str) -> int:
    """Where an array has its batch; one with a single axis has nothing else."""
    return layout.index("N") if array.ndim > 1 else 0


def size_along(arrays: Sequence[mx.nd.NDArray], layout: str, letter: str) -> int:
    """The one length that arrays have along the batch ("N") or the time axis ("T"); a ValueError says if they differ or
    are 0, or an array has no time axis."""
    if letter == "T" and any(array.ndim < 2 for array in arrays):
        raise ValueError("time chunks need inputs with a time axis, but one has the shape "
                         f"{next(a.shape for a in arrays if a.ndim < 2)}; give a mask over the steps in the place of "
                         "lengths, or num_chunks=1")
    sizes = {array.shape[batch_axis(array, layout) if letter == "N" else layout.index("T")] for array in arrays}
    if len(sizes) != 1:
        name = "batch" if letter == "N" else "time"
        raise ValueError(f"the arrays of one batch have different {name} axes (layout {layout}): "
                         f"{[a.shape for a in arrays]}")
    size = sizes.pop()
    if not size:
        raise ValueError(f"the batch is empty: {[a.shape for a in arrays]}")
    return size


def split(array: mx.nd.NDArray, axis: int, lengths: Sequence[int]) -> List[mx.nd.NDArray]:
    """Pieces of an array along an axis, of some lengths."""
    if len(lengths) == 1:
        return [array]
    if array.dtype == np.bool_:  # which MXNet 1.9.1 can neither slice nor join
        return [piece.astype("bool") for piece in split(array.astype("uint8"), axis, lengths)]
    ends = list(accumulate(lengths))
    return [array.slice_axis(axis, end - length, end) for end, length in zip(ends, lengths)]


def cut(arrays: Sequence[mx.nd.NDArray], layout: str, rows: Sequence[int], steps: Sequence[int]) -> Pieces:
    """Each array's micro-batches of ``rows`` and of these, if ``steps`` has several, the time chunks."""
    pieces: Dict[Tuple[int, int], List[mx.nd.NDArray]] = {}
    for array in arrays:
        for m, microbatch in enumerate(split(array, batch_axis(array, layout), rows)):
            for t, piece in enumerate(split(microbatch, layout.index("T"), steps) if len(steps) > 1 else [microbatch]):
                pieces.setdefault((m, t), []).append(piece)
    return {key: tuple(piece) for key, piece in pieces.items()}


def join_chunks(chunks: Sequence[Arrays], steps: Sequence[int], layout: str) -> Arrays:
    """The arrays of one micro-batch's time chunks as arrays over its whole time; a ValueError says if one does not have
    its chunk's ``steps`` along the layout's time axis."""
    axis = layout.index("T")
    for chunk, length in zip(chunks, steps):
        for array in chunk:
            if array.ndim < 2 or array.shape[axis] != length:
                raise ValueError(f"with time chunks the chain's outputs must have the layout {layout} of its inputs, "
                                 f"but one of a chunk of {length} steps has the shape {array.shape}")
    return tuple(concat(arrays, axis) for arrays in zip(*chunks))


def join(pieces: Pieces, rows: Sequence[int], steps: Sequence[int], layout: str) -> Arrays:
    """The whole batch's arrays from those of its micro-batches and chunks, the inverse of `cut`; a ValueError says if a
    shape is not that of its micro-batch (``rows``) and chunk (``steps``)."""
    microbatches = []
    for m, length in enumerate(rows):
        chunks = [pieces[m, t] for t in range(len(steps))]
        microbatches.append(join_chunks(chunks, steps, layout) if len(steps) > 1 else chunks[0])
        for array in microbatches[-1] if len(rows) > 1 else ():
            if array.shape[batch_axis(array, layout)] != length:
                raise ValueError(f"the chain's outputs must have the layout {layout} of its inputs, but one of a "
                                 f"micro-batch of {length} rows has the shape {array.shape}")
    return tuple(concat(arrays, batch_axis(arrays[0], layout)) for arrays in zip(*microbatches))


def concat(arrays: Sequence[mx.nd.NDArray], axis: int) -> mx.nd.NDArray:
    """Arrays side by side along an axis."""
    if len(arrays) == 1:
        return arrays[0]
    if arrays[0].dtype == np.bool_:
        return concat([array.astype("uint8") for array in arrays], axis).astype("bool")
    return mx.nd.concat(*arrays, dim=axis)


Data = Union[mx.nd.NDArray, Sequence[Any]]


@dataclass
class Feed:
    """What a step works on: arrays by micro-batch and chunk, and what is given beside them to each."""

    inputs: Dict[Tuple[int, int], Packed]
    labels: Optional[List[Packed]]  # by micro-batch, not cut in time; None stands for no loss
    layout: str
    rows: List[int]  # of each micro-batch
    steps: List[int]  # of each chunk; one chunk has 0, however long it is
    wanted: Optional[List[bool]]  # which input arrays need gradients; None stands for a forward pass only

    @classmethod
    def of(cls, data: Data, label: Optional[Data], layout: str, num_microbatches: int, num_chunks: int,
           training: bool) -> Feed:
        """Cut a batch into micro-batches and chunks, or into fewer where it has fewer rows or steps; a ValueError says
        if its arrays' batch or time axes differ, or are empty, or something is no array."""
        given = pack_outputs(as_tuple(data), "the pipeline's data hold")
        labels = pack(as_tuple(() if label is None else label), "the pipeline's labels hold")
        batch_size = size_along(given.arrays + labels.arrays, layout, "N")
        rows, steps = even_sizes(batch_size, min(num_microbatches, batch_size)), [0]
        if num_chunks > 1:
            length = size_along(given.arrays, layout, "T")
            steps = even_sizes(length, min(num_chunks, length))
        wanted = [training and array.grad is not None for array in given.arrays]
        with autograd.record() if any(wanted) else autograd.pause():
            # a reshaped array is another node of the graph than its own, even if it is not cut and given twice
            inputs = cut([array.reshape(array.shape) if asked else array
                          for array, asked in zip(given.arrays, wanted)], layout, rows, steps)
        label_pieces = cut(labels.arrays, layout, rows, [0])
        return cls({key: Packed(pieces, given.structure) for key, pieces in inputs.items()},
                   None if label is None else [Packed(label_pieces.get((m, 0), ()), labels.structure)
                                               for m in range(len(rows))],
                   layout, rows, steps, wanted if training else None)

    def join(self, outputs: Dict[Tuple[int, int], Packed]) -> Any:
        """What the chain returns for the whole batch, from its outputs by micro-batch and chunk."""
        structures = [packed.structure for packed in outputs.values()]
        if any(structure != structures[0] for structure in structures):
            raise ValueError("the chain returned one thing for a micro-batch and another for the next: "
                             f"{structures[0]}, then {next(s for s in structures if s != structures[0])}; what depends "
                             "on the batch must be an array")
        arrays = join({key: packed.arrays for key, packed in outputs.items()}, self.rows, self.steps, self.layout)
        items = Packed(arrays, structures[0]).unpack()
        return items if len(items) > 1 else items[0]

    def hand_back(self, grads: Pieces) -> None:
        """Let the inputs' gradients, given by micro-batch and chunk, reach the arrays that the inputs were cut from."""
        heads, head_grads = [], []
        for key, packed in self.inputs.items():
            asked = [piece for piece, wanted in zip(packed.arrays, self.wanted or ()) if wanted]
            for piece, grad in zip(asked, grads[key]):
                heads.append(piece)
                head_grads.append(grad.as_in_context(piece.context))
        if heads:
            autograd.backward(heads, head_grads)
