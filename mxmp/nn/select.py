"""Wiring for chains whose layers need more than the layer before them gives."""
from __future__ import annotations

from typing import Any, Sequence, Tuple

from mxnet.gluon import Block


class Select(Block):
    """Apply a block to some of a chain's arrays and carry others along.

    A chain hands a tuple of arrays from layer to layer. Most blocks take one or two of them; this wrapper says
    which, and which of the others later layers still need. It is a plain Block, so that arrays that are only
    carried are not copied; the block inside is hybridized.

    Parameters
    ----------
    block : Block
        Any Gluon block.
    take : sequence of int
        Positions of the block's inputs.
    keep : sequence of int, default ()
        Positions of the arrays that are handed on after the block's result.

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

    def forward(self, *arrays: Any) -> Tuple:
        last = max(self.take + self.keep)
        if last >= len(arrays):
            raise ValueError(f"{self.block.name} needs {last + 1} arrays from the layer before it, got {len(arrays)}")
        out = self.block(*(arrays[i] for i in self.take))
        out = tuple(out) if isinstance(out, (tuple, list)) else (out,)
        return out + tuple(arrays[i] for i in self.keep)
