"""The forecaster as a chain."""
from __future__ import annotations

from typing import Any

import mxnet as mx
from mxnet.gluon import HybridBlock

from mxmp import nn


class SeriesInput(HybridBlock):
    """What a step says and which series it is of, as one vector, time first: steps (N, T, C) and the number of each
    window's series (N,) become (T, N, units). Each series has a vector of its own, so that what is peculiar to it need
    not be read off the history."""

    def __init__(self, num_series: int, units: int, input_size: int, prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.steps = mx.gluon.nn.Dense(units, flatten=False, in_units=input_size)
            self.series = mx.gluon.nn.Embedding(num_series, units, weight_initializer=mx.init.Normal(0.1))

    def hybrid_forward(self, F: Any, steps: Any, series: Any) -> Any:
        steps = F.swapaxes(self.steps(steps), 0, 1)  # (T, N, units)
        return F.broadcast_add(steps, F.expand_dims(self.series(series), axis=0))


class LastSteps(HybridBlock):
    """The last H steps of a sequence (T, N, C), batch first, (N, H, C)."""

    chunkable = False  # the end of every time chunk is not the end of the sequence

    def __init__(self, steps: int, prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._steps = steps

    def hybrid_forward(self, F: Any, data: Any) -> Any:
        return F.swapaxes(F.slice_axis(data, axis=0, begin=-self._steps, end=None), 0, 1)


def series_chain(num_series: int, input_size: int, horizon: int, hidden_size: int = 64,
                 num_layers: int = 2) -> nn.Chain:
    """Residual LSTM layers over history and horizon, and one number for each step of the horizon: steps (N, L + H, C)
    of `model_inputs` and the number of each window's series (N,) become a forecast (N, H, 1) to the window's own scale.

    Within the horizon the layers read what is known in advance, and their states hold what is kept of the history: no
    step is forecast from another one's forecast ("direct").
    """
    chain = nn.Chain(prefix="series_")
    with chain.name_scope():
        chain.add_named("input", SeriesInput(num_series, hidden_size, input_size, prefix="input_"))
        for i in range(num_layers):
            layer = nn.LSTMLayer(hidden_size, input_size=hidden_size, prefix=f"lstm_{i}_")
            chain.add_named(f"lstm_{i}", nn.Residual(layer))  # (L + H, N, hidden), as the input
        chain.add_named("last_steps", LastSteps(horizon))  # (N, H, hidden)
        chain.add_named("output", mx.gluon.nn.Dense(1, flatten=False, in_units=hidden_size, prefix="output_"))
    return chain
