"""A residual connection around a recurrent block."""
from __future__ import annotations

from typing import Any, Callable, List

import mxnet as mx

from .stateful import StatefulBlock


class Residual(StatefulBlock):
    """Add a recurrent block's input to its output (He et al. 2016; in LSTM stacks: Wu et al. 2016, section 3.2).

    Parameters
    ----------
    block : StatefulBlock
        Its first input and its output have one shape. Other inputs and the states go through as they are.

    Inputs
    ------
    - **data**: (T, N, C) float, the array that is added.
    - **args**: the block's other inputs.
    - **states**: None, or the block's list of states.

    Outputs
    -------
    - **out**: ``data + block(data, *args)``, (T, N, C) float; with states given ``(out, new_states)``.
    """

    def __init__(self, block: StatefulBlock, prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.block = block

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """The zero states of the block inside; ``batch_size``, ``func`` and ``kwargs`` are handed to it."""
        return self.block.begin_state(batch_size, func, **kwargs)

    def hybrid_forward(self, F: Any, data: Any, *args: Any) -> Any:
        out, states = self.block(data, *args)
        return data + out, states
