"""An upper decoder layer: an LSTM that reads the layer below it and the attention's context."""
from __future__ import annotations

from typing import Any, Callable, List

import mxnet as mx

from .join import side_by_side
from .lstm import LSTMLayer
from .stateful import StatefulBlock


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

    Inputs
    ------
    - **data**: (T, N, C) float.
    - **context**: (T, N, C) float.
    - **states**: None, or a list of two arrays (1, N, H) float: hidden and cell state.

    Outputs
    -------
    - **out**: (T, N, H) float; with states given ``(out, [hidden, cell])``, each state (1, N, H).
    """

    def __init__(self, hidden_size: int, dropout: float = 0.0, input_size: int = 0, weight_initializer: Any = None,
                 dtype: str = "float32", prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.lstm = LSTMLayer(hidden_size, dropout, input_size, weight_initializer, dtype)

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """The zero states of the LSTM inside; ``batch_size``, ``func`` and ``kwargs`` are handed to it."""
        return self.lstm.begin_state(batch_size, func, **kwargs)

    def hybrid_forward(self, F: Any, data: Any, context: Any, states: Any) -> Any:
        return self.lstm(side_by_side(F, data, context), states)  # (T, N, 2C) -> (T, N, H)
