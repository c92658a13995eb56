"""One layer of a stack, with Gluon's separate parameters."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, MutableMapping, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Parameter, ParameterDict
from mxnet.util import is_np_array

from .base import StatefulBlock

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


class RecurrentLayer(StatefulBlock):
    """One layer of a `StackedLSTM`, in one or both directions: one call of MXNet's fused ``RNN`` operator.

    Parameters
    ----------
    index : int
        Which layer; its parameters are ``l{index}_i2h_weight`` and so on, those of ``params`` where it has them.
    hidden_size : int
        Width H of each direction.
    mode : str, default 'lstm'
        'lstm', 'gru', 'rnn_relu' or 'rnn_tanh'.
    directions : int, default 1
        1, or 2 for a bidirectional layer.
    dropout : float, default 0
        Share of the input's numbers that is dropped in training.
    residual : bool, default False
        Whether the input is added to the output; both are equally wide then.
    dtype : str, default 'float32'
        Type of parameters and states.

    Inputs
    ------
    - **data**: (T, N, C) float.
    - **states**: None, or a list of arrays (D, N, H) float: hidden state and, of LSTMs, cell state; D directions.

    Outputs
    -------
    - **out**: (T, N, D H) float; with states given ``(out, new_states)``.
    """

    def __init__(self, index: int, hidden_size: int, mode: str = "lstm", directions: int = 1, dropout: float = 0.0,
                 residual: bool = False, dtype: str = "float32", prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        check_mode(mode)
        self._hidden_size, self._mode, self._dir, self._dtype = hidden_size, mode, directions, dtype
        self._residual = residual
        self.dropout = mx.gluon.nn.Dropout(dropout) if dropout else None
        self._names = [f"{direction}{index}_{part}_{kind}" for kind in ("weight", "bias")
                       for direction in "lr"[:directions] for part in ("i2h", "h2h")]  # in the operator's order
        rows = _GATES[mode] * hidden_size
        for name in self._names:
            shape = (rows,) if "bias" in name else (rows, hidden_size if "h2h" in name else 0)
            self._reg_params[name] = self._parameter(name, shape)

    @property
    def hidden_size(self) -> int:
        """Width H of each direction; int."""
        return self._hidden_size

    @property
    def mode(self) -> str:
        """'lstm', 'gru', 'rnn_relu' or 'rnn_tanh'; str."""
        return self._mode

    @property
    def num_directions(self) -> int:
        """1, or 2 of a bidirectional layer; int."""
        return self._dir

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output; bool."""
        return self._residual

    @property
    def params(self) -> ParameterDict:
        """Its parameters; those of a stack's layer are always the ones that the stack has; ParameterDict."""
        params = ParameterDict(self._params.prefix)
        params.update({parameter.name: parameter for parameter in self._reg_params.values()})
        return params

    def _parameter(self, name: str, shape: Tuple[int, ...]) -> Parameter:
        if self._params.prefix + name in (self._params._shared or ()):
            return self._params.get(name)
        return self._params.get(name, shape=shape, dtype=self._dtype, allow_deferred_init=True)

    def follow(self, parameters: Dict[str, Parameter]) -> None:
        """Have the ``parameters`` of a stack under this layer's names, also those that will be put in their place."""
        self._reg_params = _Some(parameters, self._names)

    def __getattr__(self, name: str) -> Any:
        """A parameter by its name; the layer has no references of its own, which would be out of date."""
        try:
            return self.__dict__["_reg_params"][name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}") from None

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """Returns zero states, arrays (D, batch_size, H) float; ``kwargs`` go to ``func`` (``ctx``, for example)."""
        shape = (self._dir, batch_size, self._hidden_size)
        states = [func(shape=shape, dtype=self._dtype, **kwargs) for _ in range(2 if self._mode == "lstm" else 1)]
        return [state.as_np_ndarray() for state in states] if is_np_array() else states

    def cast(self, dtype: str) -> None:
        """Change the type of the parameters and of the zero states to ``dtype``."""
        super().cast(dtype)
        self._dtype = dtype

    def infer_shape(self, data: Any, *args: Any) -> None:
        """Take the width of the input from the first ``data`` that is seen; the other ``args`` tell nothing."""
        for name in self._names:
            if "i2h_weight" in name:
                parameter = self._reg_params[name]
                parameter.shape = (parameter.shape[0], data.shape[2])

    def hybrid_forward(self, F: Any, data: Any, states: Any, **arrays: Any) -> Any:
        before = data
        if self.dropout is not None:
            data = self.dropout(data)
        concat, rnn = ((F.np._internal.rnn_param_concat, F.npx.rnn) if is_np_array() else
                       (F._internal._rnn_param_concat, F.RNN))
        flat = concat(*[arrays[name].reshape(-1) for name in self._names], dim=0)
        out, *states = rnn(data, flat, *states, state_size=self._hidden_size, num_layers=1, mode=self._mode,
                           bidirectional=self._dir == 2, state_outputs=True)  # (T, N, D H), (D, N, H)...
        return (before + out if self._residual else out), states

    def __repr__(self) -> str:
        weight = self._reg_params[self._names[0]]
        return f"{type(self).__name__}({weight.shape[1] or None} -> {self._hidden_size}, {self._mode}" + (
            ", bidirectional)" if self._dir == 2 else ")")


class _Some(MutableMapping):
    """Some of a dict's entries, in an order of their own: what is put into the one is in the other."""

    def __init__(self, entries: Dict[str, Parameter], names: Sequence[str]) -> None:
        self._entries, self._names = entries, names

    def __getitem__(self, name: str) -> Parameter:
        if name not in self._names:
            raise KeyError(name)
        return self._entries[name]

    def __setitem__(self, name: str, parameter: Parameter) -> None:
        self._entries[name] = parameter

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def check_mode(mode: str) -> None:
    """Refuse what the fused operator does not know."""
    if mode not in _GATES:
        raise ValueError(f"mode must be one of {', '.join(_GATES)}; got {mode!r}")
