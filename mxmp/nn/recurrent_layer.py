"""One layer of a stack, with Gluon's separate parameters."""
from __future__ import annotations

from typing import Any, Callable, List

import mxnet as mx

from .stateful import StatefulBlock


class RecurrentLayer(StatefulBlock):
    """One layer of a `StackedLSTM`, in one or both directions: one call of MXNet's fused ``RNN`` operator.

    Parameters
    ----------
    index : int
        Which layer; its parameters are ``l{index}_i2h_weight`` and so on, taken from ``params``.
    hidden_size : int
        Width H of each direction.
    mode : str
        "lstm", "gru", "rnn_relu" or "rnn_tanh".
    directions : int
        1, or 2 for a bidirectional layer.
    dropout : float
        Share of the input's numbers that is dropped in training.
    residual : bool
        Whether the input is added to the output; both are equally wide then.
    dtype : str
        Of the zero states.

    Inputs
    ------
    - **data**: (T, N, C) float.
    - **states**: None, or a list of arrays (D, N, H) float: hidden state and, of LSTMs, cell state; D directions.

    Outputs
    -------
    - **out**: (T, N, D H) float; with states given ``(out, new_states)``.
    """

    def __init__(self, index: int, hidden_size: int, mode: str, directions: int, dropout: float, residual: bool,
                 dtype: str, prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._hidden_size, self._mode, self._dir, self._dtype = hidden_size, mode, directions, dtype
        self._residual = residual
        self.dropout = mx.gluon.nn.Dropout(dropout) if dropout else None
        self._names = [f"{direction}_{part}_{kind}" for kind in ("weight", "bias") for direction in "lr"[:directions]
                       for part in ("i2h", "h2h")]  # in the operator's order
        for name in self._names:
            setattr(self, name, self.params.get(f"{name[0]}{index}{name[1:]}"))

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """Returns zero states, arrays (D, batch_size, H) float; ``kwargs`` go to ``func`` (``ctx``, for example)."""
        shape = (self._dir, batch_size, self._hidden_size)
        return [func(shape=shape, dtype=self._dtype, **kwargs) for _ in range(2 if self._mode == "lstm" else 1)]

    def cast(self, dtype: str) -> None:
        """Change the type of the parameters and of the zero states to ``dtype``."""
        super().cast(dtype)
        self._dtype = dtype

    def infer_shape(self, data: Any, *args: Any) -> None:
        """Take the width of the input from the first ``data`` that is seen; the other ``args`` tell nothing."""
        for name in self._names:
            if "i2h_weight" in name:
                parameter = getattr(self, name)
                parameter.shape = (parameter.shape[0], data.shape[2])

    def hybrid_forward(self, F: Any, data: Any, states: Any, **arrays: Any) -> Any:
        given = data
        if self.dropout is not None:
            data = self.dropout(data)
        flat = F._internal._rnn_param_concat(*[F.reshape(arrays[name], shape=(-1,)) for name in self._names], dim=0)
        out, *states = F.RNN(data, flat, *states, state_size=self._hidden_size, num_layers=1, mode=self._mode,
                             bidirectional=self._dir == 2, state_outputs=True)  # (T, N, D H), (D, N, H)...
        return (given + out if self._residual else out), states
