"""Recurrent states: which layers have them, which can be run chunk by chunk, how states are cut and joined."""
from __future__ import annotations

from itertools import accumulate
from typing import Any, Dict, List, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Block
from mxnet.util import is_np_array, np_array

from ..nn.base import descendants
from .cut import concat, split

States = List[List[mx.nd.NDArray]]  # of each stateful layer, in the chain's order


def is_stateful(layer: Block) -> bool:
    """Whether a layer takes states and returns ``(output, new_states)``, as Gluon's recurrent layers do."""
    return callable(getattr(layer, "begin_state", None))


def check_chunkable(layers: Dict[str, Block]) -> None:
    """Refuse, by name, layers whose outputs at one step depend on later steps, or on a state that they do not hand
    on."""
    for name, layer in layers.items():
        for block in descendants(layer):
            # a block says so itself (the attention and the bidirectional layer do), or is one of Gluon's
            if not getattr(block, "chunkable", True) or getattr(block, "_dir", 1) == 2:
                raise ValueError(f"layer {name!r} ({type(block).__name__}) needs the whole sequence at once and "
                                 "cannot run in time chunks; use num_chunks=1")
            if is_stateful(block) and not is_stateful(layer):
                raise ValueError(f"layer {name!r} ({type(layer).__name__}) has a {type(block).__name__} inside but "
                                 "does not hand on its state from chunk to chunk; let it have begin_state() and take "
                                 "and return states, or use num_chunks=1")


def cut_states(states: States, stages: Sequence[Sequence[Any]], rows: Sequence[int]) -> List[List[States]]:
    """For each stage, given by its stateful layers, its layers' states of every micro-batch; a ValueError says if the
    states are not those of these layers."""
    layers = [layer for stage in stages for layer in stage]
    if len(states) != len(layers):
        raise ValueError(f"the chain has {len(layers)} layers with states, but states of {len(states)} were given; "
                         "begin with those of Pipeline.begin_state")
    for i, (layer, arrays) in enumerate(zip(layers, states)):
        expected, shapes = _shapes(layer, sum(rows)), [getattr(array, "shape", None) for array in arrays]
        if shapes != expected:
            raise ValueError(f"the states of recurrent layer {i} ({type(layer).__name__}) should have the shapes "
                             f"{expected} for a batch of {sum(rows)}, got {shapes}")
    pieces = [[split(array.as_nd_ndarray().detach(), axis, rows) for array, axis in zip(arrays, _batch_axes(layer))]
              for layer, arrays in zip(layers, states)]
    ends = list(accumulate(map(len, stages)))
    return [[[[piece[m] for piece in layer] for layer in pieces[end - len(stage):end]] for m in range(len(rows))]
            for end, stage in zip(ends, stages)]


def join_states(pieces: Sequence[Dict[int, States]], stages: Sequence[Sequence[Any]], microbatches: int) -> States:
    """The whole batch's states from those of each stage's micro-batches."""
    return [as_layers_take([concat([piece[m][i][j] for m in range(microbatches)], axis)
                            for j, axis in enumerate(_batch_axes(layer))])
            for piece, stage in zip(pieces, stages) for i, layer in enumerate(stage)]


def as_layers_take(states: Sequence[mx.nd.NDArray]) -> List[mx.nd.NDArray]:
    """States as layers take them now: MXNet's NumPy arrays where it was switched to these."""
    return [state.as_np_ndarray() for state in states] if is_np_array() else list(states)


def _batch_axes(layer: Any) -> List[int]:
    """The batch axis of each of a layer's states: where those for one sequence and for two differ."""
    return [next(axis for axis, sizes in enumerate(zip(one, two)) if sizes[0] != sizes[1])
            for one, two in zip(_shapes(layer, 1), _shapes(layer, 2))]


def _shapes(layer: Any, batch_size: int) -> List[Tuple[int, ...]]:
    """Shapes of a layer's states."""
    with np_array(False):  # for which layers would make NumPy arrays of what the function gives
        return [tuple(shape) for shape in layer.begin_state(batch_size, func=lambda shape, **_: shape)]
