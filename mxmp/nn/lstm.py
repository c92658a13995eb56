"""One LSTM layer as one fused RNN call with one flat parameter."""
from __future__ import annotations

import os
from typing import Any, Callable, List

import mxnet as mx

from .base import StatefulBlock, check_layout
from .operators import time_first

# MXNet's own CPU kernel, which runs where oneDNN's does not, computes nonsense for grad_req='add': from it the gradient
# must go to another array first, and be added from there.
_ADDS_UP = mx.runtime.Features().is_enabled("MKLDNN") and os.environ.get("MXNET_USE_MKLDNN_RNN", "1") != "0"


class LSTMLayer(StatefulBlock):
    r"""One LSTM layer over a whole sequence: one call of MXNet's fused ``RNN`` operator.

    ``gluon.rnn.LSTM`` holds four arrays and concatenates them in every call, and its gradient is split again.
    A pipeline calls a layer once per micro-batch, so that this cost is paid several times a step: with 16 rows
    of 16 steps such a call takes 1.7 times as long (docs/benchmarks.md). This layer holds the operator's own flat
    array instead (all weights, then all biases: i2h, h2h; gates in the order input, forget, cell, output).

    Parameters
    ----------
    hidden_size : int
        Width H of the state and of the output.
    dropout : float, default 0
        Share of the layer's *input* that is dropped in training, one mask per sequence (shared over time).
    input_size : int, default 0
        Width C of the input; 0 takes it from the first input seen.
    weight_initializer : Initializer or None
        For the weight matrices; None is Uniform(1/sqrt(H)). Biases begin at 0, the forget gate's too: a state
        that forgets sooner tells tokens apart, and an attention over it learns faster.
    dtype : str, default 'float32'
        Type of the parameter, the states and the output.
    layout : str, default 'TNC'
        'TNC' or 'NTC', of input and output.

    Inputs
    ------
    - **data**: (T, N, C) or, with 'NTC', (N, T, C), float.
    - **states**: None, or a list of two arrays (1, N, H) float: hidden and cell state.

    Outputs
    -------
    - **out**: (T, N, H) or (N, T, H), float; with states given ``(out, [hidden, cell])``, each state (1, N, H).

    Raises
    ------
    ValueError
        If ``hidden_size`` is below 1, or the layout is none.

    Examples
    --------
    >>> layer = LSTMLayer(384, input_size=256)
    >>> layer.initialize(ctx=mx.cpu(1))
    >>> layer(mx.nd.ones((20, 8, 256), ctx=mx.cpu(1))).shape
    (20, 8, 384)
    """

    def __init__(self, hidden_size: int, dropout: float = 0.0, input_size: int = 0, weight_initializer: Any = None,
                 dtype: str = "float32", layout: str = "TNC", prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        if hidden_size < 1:
            raise ValueError(f"hidden_size must be at least 1, got {hidden_size}")
        check_layout(layout)
        self._hidden_size, self.layout = hidden_size, layout
        self._dtype = dtype
        weights = mx.initializer.create(weight_initializer or mx.init.Uniform(hidden_size ** -0.5))
        with self.name_scope():
            self.dropout = mx.gluon.nn.Dropout(dropout, axes=(0,)) if dropout else None
            self.parameters = self.params.get(
                "parameters", shape=(self._flat_size(input_size),), dtype=dtype, allow_deferred_init=True,
                init=mx.init.FusedRNN(weights, num_hidden=hidden_size, num_layers=1, mode="lstm", forget_bias=0.0))

    @property
    def hidden_size(self) -> int:
        """Width H of the state and of the output; int."""
        return self._hidden_size

    def _flat_size(self, input_size: int) -> int:
        """Length of the flat array; 0, Gluon's sign for unknown, when the input's width is not known."""
        return 4 * self._hidden_size * (input_size + self._hidden_size + 2) if input_size else 0

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """Returns zero states, two arrays (1, batch_size, H) float; ``kwargs``, such as ``ctx``, go to ``func``."""
        return [func(shape=(1, batch_size, self._hidden_size), dtype=self._dtype, **kwargs) for _ in range(2)]

    def cast(self, dtype: str) -> None:
        """Change the type of the parameter and of the zero states to ``dtype``."""
        super().cast(dtype)
        self._dtype = dtype

    def hybrid_forward(self, F: Any, data: Any, states: Any, parameters: Any) -> Any:
        data = time_first(F, data, self.layout)
        if self.dropout is not None:
            data = self.dropout(data)
        if self._dtype != "float32" or not _ADDS_UP:
            parameters = F.identity(parameters)
        out, hidden, cell = F.RNN(data, parameters, *states, state_size=self._hidden_size, num_layers=1,
                                  mode="lstm", state_outputs=True)  # (T, N, H), (1, N, H), (1, N, H)
        return time_first(F, out, self.layout), [hidden, cell]

    def __repr__(self) -> str:
        length, size = self.parameters.shape[0], self._hidden_size
        return f"{type(self).__name__}({length // (4 * size) - size - 2 if length else None} -> {size})"
