"""LSTM layers put together: both directions, an attention's context beside the input, a residual connection."""
from __future__ import annotations

from typing import Any, Callable, List

import mxnet as mx

from .base import MovingBlock, StatefulBlock, check_layout, layout_of
from .lstm import LSTMLayer
from .operators import side_by_side, time_first, within


class BidirectionalLSTM(MovingBlock):
    """Two LSTM layers over padded sequences, one in each direction, their outputs side by side.

    The fused operator reads sequence lengths with cuDNN only, so the second direction gets each sequence
    reversed up to its own length (``SequenceReverse``): what lies in the padding never reaches a valid output.

    Parameters
    ----------
    hidden_size : int
        Width H of each direction.
    dropout : float, default 0
        As in `LSTMLayer`.
    input_size : int, default 0
        Width C of the input; 0 takes it from the first input seen.
    weight_initializer : Initializer or None
        As in `LSTMLayer`.
    dtype : str, default 'float32'
        Type of the parameters and the output.
    layout : str, default 'TNC'
        'TNC' or 'NTC', of input and output.

    Inputs
    ------
    - **data**: (T, N, C) or, with 'NTC', (N, T, C), float.
    - **valid_length**: (N,) int or float, the number of valid steps of each sequence; one outside counts as the
      nearest from 0 to T.

    Outputs
    -------
    - **out**: (T, N, 2H) or (N, T, 2H), float. Outputs in the padding are defined but mean nothing.
    """

    chunkable = False  # every output depends on the whole sequence: a pipeline must not cut it in time

    def __init__(self, hidden_size: int, dropout: float = 0.0, input_size: int = 0, weight_initializer: Any = None,
                 dtype: str = "float32", layout: str = "TNC", prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        check_layout(layout)
        self.layout = layout
        with self.name_scope():
            self.left = LSTMLayer(hidden_size, dropout, input_size, weight_initializer, dtype, prefix="l_")
            self.right = LSTMLayer(hidden_size, dropout, input_size, weight_initializer, dtype, prefix="r_")

    def hybrid_forward(self, F: Any, data: Any, valid_length: Any) -> Any:
        data = time_first(F, data, self.layout)
        valid_length = within(F, valid_length, data, 0)
        backwards = F.SequenceReverse(data, valid_length, use_sequence_length=True)  # (T, N, C)
        right = F.SequenceReverse(self.right(backwards), valid_length, use_sequence_length=True)
        return time_first(F, side_by_side(F, self.left(data), right), self.layout)  # (T, N, 2H)


class ContextLSTM(StatefulBlock):
    """An `LSTMLayer` over ``[data, context]``, as in the upper layers of GNMT's decoder.

    Wu et al. 2016, "Google's Neural Machine Translation System", section 3.1, feed the bottom layer's attention
    context to every upper layer, so that no layer waits for the step before of a layer above it.

    Parameters
    ----------
    hidden_size : int
        Width H of the state and of the output.
    dropout : float, default 0
        As in `LSTMLayer`.
    input_size : int, default 0
        Width 2 C of data and context together; 0 takes it from the first input seen.
    weight_initializer : Initializer or None
        As in `LSTMLayer`.
    dtype : str, default 'float32'
        Type of the parameter, the states and the output.
    layout : str, default 'TNC'
        'TNC' or 'NTC', of inputs and output.

    Inputs
    ------
    - **data**: (T, N, C) or, with 'NTC', (N, T, C), float.
    - **context**: as data.
    - **states**: None, or a list of two arrays (1, N, H) float: hidden and cell state.

    Outputs
    -------
    - **out**: (T, N, H) or (N, T, H), float; with states given ``(out, [hidden, cell])``, each state (1, N, H).
    """

    def __init__(self, hidden_size: int, dropout: float = 0.0, input_size: int = 0, weight_initializer: Any = None,
                 dtype: str = "float32", layout: str = "TNC", prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.layout = layout
        with self.name_scope():
            self.lstm = LSTMLayer(hidden_size, dropout, input_size, weight_initializer, dtype, layout)

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """The zero states of the LSTM inside; ``batch_size``, ``func`` and ``kwargs`` are handed to it."""
        return self.lstm.begin_state(batch_size, func, **kwargs)

    def hybrid_forward(self, F: Any, data: Any, context: Any, states: Any) -> Any:
        return self.lstm(side_by_side(F, data, context), states)  # (T, N, 2C) -> (T, N, H), or batch first


class Residual(StatefulBlock):
    """Add a recurrent block's input to its output (He et al. 2016; in LSTM stacks: Wu et al. 2016, section 3.2).

    Parameters
    ----------
    block : StatefulBlock
        Its first input and its output have one shape. Other inputs and the states go through as they are.

    Inputs
    ------
    - **data**: (T, N, C) or (N, T, C), as the block's ``layout`` says, float, the array that is added.
    - **args**: the block's other inputs.
    - **states**: None, or the block's list of states.

    Outputs
    -------
    - **out**: ``data + block(data, *args)``, float; with states given ``(out, new_states)``.
    """

    def __init__(self, block: StatefulBlock, prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.block = block
        self.layout = layout_of(block) or "TNC"

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """The zero states of the block inside; ``batch_size``, ``func`` and ``kwargs`` are handed to it."""
        return self.block.begin_state(batch_size, func, **kwargs)

    def hybrid_forward(self, F: Any, data: Any, *args: Any) -> Any:
        out, states = self.block(data, *args)
        return data + out, states
