"""Blocks that compute nothing: which of a chain's arrays a layer takes, and which axis comes first."""
from __future__ import annotations

from typing import Any, Callable, Sequence, Tuple

from mxnet.gluon import Block, HybridBlock


class Select(Block):
    """Apply a block to some of a chain's arrays and carry others along.

    A chain hands a tuple of arrays from layer to layer. Most blocks take one or two of them; this wrapper says
    which, and which of the others later layers still need. It is a plain Block, so that arrays that are only
    carried are not copied; the block inside is hybridized.

    Around a recurrent block it is recurrent too: given a list of states as its last input, it returns
    ``(outputs, new_states)``.

    Parameters
    ----------
    block : Block
        Any Gluon block.
    take : sequence of int
        Positions of the block's inputs.
    keep : sequence of int, default ()
        Positions of the arrays that are handed on after the block's result.

    Inputs
    ------
    - **arrays**: all that the layer before it in the chain returns; a ValueError says if they are too few.

    Outputs
    -------
    - **outputs**: a tuple, the block's result or results and the arrays at ``keep``.

    Examples
    --------
    >>> attend = Select(MaskedAttention(512), take=(0, 1, 2), keep=(0,))
    >>> context, query = attend(query, memory, valid_length)
    """

    def __init__(self, block: Block, take: Sequence[int], keep: Sequence[int] = (), prefix: Any = None,
                 params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.block = block
        self.take, self.keep = tuple(take), tuple(keep)

    @property
    def begin_state(self) -> Callable:
        """The method of a recurrent block inside; an AttributeError with others, which have none."""
        return self.block.begin_state

    def forward(self, *arrays: Any) -> Tuple:
        states = [arrays[-1]] if isinstance(arrays[-1], (list, tuple)) else []
        arrays = arrays[:-1] if states else arrays
        last = max(self.take + self.keep)
        if last >= len(arrays):
            raise ValueError(f"{self.block.name} needs {last + 1} arrays from the layer before it, got {len(arrays)}")
        out = self.block(*(arrays[i] for i in self.take), *states)
        out, new_states = out if states else (out, None)
        out = tuple(out) if isinstance(out, (tuple, list)) else (out,)
        out += tuple(arrays[i] for i in self.keep)
        return (out, new_states) if states else out


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
