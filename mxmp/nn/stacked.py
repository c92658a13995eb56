"""Gluon's stacked LSTM, with its layers on several contexts."""
from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import mxnet as mx
from mxnet.gluon.rnn.rnn_layer import _RNNLayer

from ..contexts import check_contexts
from .base import check_layout, check_sequence
from .chain import Chain, TimeFirst, variable, write_export
from .operators import join_rows, take_rows
from .parameters import PinnedParameter
from .recurrent_layer import RecurrentLayer, check_mode


class StackedLSTM(_RNNLayer):
    """A drop-in for ``gluon.rnn.LSTM`` whose layers live on several contexts.

    It is called as Gluon's, has Gluon's parameter names, and its parameter files load into ``gluon.rnn.LSTM`` of the
    same size and back. Each layer works on the context of its parameters; what it reads is moved there. The output and
    the new states are on the last layer's context and are not moved back. MXNet's NumPy arrays (``npx.set_np()``) are
    taken where Gluon's layer takes them. What is put in its parameters' place (``gluonnlp.model.apply_weight_drop``) is
    computed with, in `as_chain`, too; on several contexts, put it there after ``initialize``, since it knows of none.

    On GPUs MXNet's engine overlaps the layers of successive calls. On CPU contexts one issuing thread gives no overlap
    (docs/pipeline.md says why), and a batch in one piece keeps one context busy at a time in any case: `as_chain`
    hands the same layers to `mxmp.Pipeline`.

    Parameters
    ----------
    hidden_size : int
        Width H of every layer's state.
    num_layers : int, default 1
        Number of layers L.
    contexts : sequence of mx.Context or None
        Where the layers live, neighbours together, equally many on each; one context for each layer gives any other
        way. None leaves it to ``initialize``.
    layout : str, default 'TNC'
        'TNC' or 'NTC', of input and output.
    dropout : float, default 0
        Share that is dropped of what every layer but the first reads.
    bidirectional : bool, default False
        Whether every layer runs in both directions.
    input_size : int, default 0
        Width C of the input; 0 takes it from the first one seen.
    residual_from : int or None
        The first layer (counted from 0, at least 1) whose input is added to its output; None for no residuals.
    i2h_weight_initializer, h2h_weight_initializer : Initializer, str or None
        As of ``gluon.rnn.LSTM``.
    i2h_bias_initializer, h2h_bias_initializer : Initializer or str, default 'zeros'
        As of ``gluon.rnn.LSTM``.
    dtype : str, default 'float32'
        Type of parameters and states.
    mode : str, default 'lstm'
        'lstm', 'gru', 'rnn_tanh' or 'rnn_relu'.

    Inputs
    ------
    - **data**: (T, N, C) or, with 'NTC', (N, T, C), float.
    - **states**: None, or a list of arrays (L D, N, H) float: hidden state and, of LSTMs, cell state; D directions.

    Outputs
    -------
    - **out**: (T, N, D H) or (N, T, D H), float; with states given ``(out, new_states)``.

    Raises
    ------
    ValueError
        If an option is impossible; in a call, if states have a wrong shape.

    Examples
    --------
    >>> lstm = StackedLSTM(512, 4, contexts=[mx.gpu(0), mx.gpu(1)])
    >>> lstm.initialize()
    >>> lstm(mx.nd.ones((20, 8, 256))).context
    gpu(1)
    """

    def __init__(self, hidden_size: int, num_layers: int = 1, contexts: Optional[Sequence[mx.Context]] = None,
                 layout: str = "TNC", dropout: float = 0.0, bidirectional: bool = False, input_size: int = 0,
                 residual_from: Optional[int] = None, i2h_weight_initializer: Any = None,
                 h2h_weight_initializer: Any = None, i2h_bias_initializer: Any = "zeros",
                 h2h_bias_initializer: Any = "zeros", dtype: str = "float32", mode: str = "lstm", prefix: Any = None,
                 params: Any = None) -> None:
        _check(hidden_size, num_layers, contexts, layout, dropout, residual_from, mode)
        of_all: List[Any] = list(contexts or [None])
        self._contexts = [of_all[i * len(of_all) // num_layers] for i in range(num_layers)]
        super().__init__(hidden_size, num_layers, layout, dropout, bidirectional, input_size, i2h_weight_initializer,
                         h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer, mode, None, None, None,
                         None, False, dtype, prefix=prefix, params=params)
        self._stack = _Stack([RecurrentLayer(
            i, hidden_size, mode, self._dir, dropout if i else 0.0, residual_from is not None and i >= residual_from,
            dtype, prefix=f"{self.prefix}{i}_", params=self.params) for i in range(num_layers)])
        for layer in self.layers:
            layer.follow(self._reg_params)

    def _register_param(self, name: str, shape: Any, init: Any, dtype: str) -> Any:
        full, context = self.params.prefix + name, self._contexts[int(name[1:name.index("_")])]
        if full not in (self.params._shared or ()):
            self.params.update({full: PinnedParameter(full, context, shape=shape, init=init, dtype=dtype,
                                                      allow_deferred_init=True)})
        return super()._register_param(name, shape, init, dtype)

    def state_info(self, batch_size: int = 0) -> List[dict]:
        """The shapes and types of the states for ``batch_size`` sequences, as of Gluon's layers."""
        shape = (self._num_layers * self._dir, batch_size, self._hidden_size)
        return [{"shape": shape, "__layout__": "LNC", "dtype": self._dtype}
                for _ in range(2 if self._mode == "lstm" else 1)]

    @property
    def layers(self) -> List[RecurrentLayer]:
        """Its layers, in order; list of RecurrentLayer."""
        return self._stack.layers

    def as_chain(self) -> Chain:
        """The same layers with the same parameters, for `mxmp.Pipeline`; time first, or batch first as this block."""
        chain = Chain()
        exchanged = [TimeFirst()] if self._layout == "NTC" else []
        chain.add(*exchanged)
        for i, layer in enumerate(self.layers):
            chain.add_named(f"layer_{i}", layer)
        chain.add(*[TimeFirst() for _ in exchanged])
        return chain

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Hybridize each layer by itself, as one graph cannot span two contexts; ``active`` and ``kwargs`` as Gluon."""
        for layer in self.layers:
            layer.hybridize(active, **kwargs)

    def cast(self, dtype: str) -> None:
        """Change the type of parameters and states to ``dtype``."""
        super().cast(dtype)
        for layer in self.layers:
            layer.cast(dtype)

    def infer_shape(self, inputs: Any, *args: Any) -> None:
        """Take the width of ``inputs``, the first that are seen; ``args`` are states, which change nothing."""
        self.layers[0].infer_shape(inputs)

    def export(self, path: str, epoch: int = 0, remove_amp_cast: bool = True) -> None:
        """Write the graph and the values to files as Gluon does, on however many contexts the layers live.

        As of ``gluon.rnn.LSTM``, the inputs are ``data0`` and the states, ``data1`` and so on, and the outputs are
        those of the latest call. ``gluon.SymbolBlock.imports`` puts all of it on one context.

        Parameters
        ----------
        path : str
            Beginning of both files' names.
        epoch : int, default 0
            Number in the parameters' file name.
        remove_amp_cast : bool, default True
            Whether casts that automatic mixed precision put in are left out.

        Raises
        ------
        RuntimeError
            If it was never called.
        """
        if self.skip_states is None:
            raise RuntimeError("Please first run forward with this block at least once before calling export.")
        data, *states = [variable(f"data{i}") for i in range(1 + len(self.state_info()))]
        out, news = self._run(data, states)
        write_export(self, [out] if self.skip_states else [out, *news], path, epoch, remove_amp_cast)

    def __call__(self, inputs: Any, states: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, mx.nd.NDArray):
            check_sequence(inputs.shape, self._layout)
        return super().__call__(inputs, states, *args, **kwargs)

    def forward(self, inputs: Any, states: Any) -> Any:
        """Run the layers one after the other, each where its parameters are."""
        if isinstance(inputs, mx.nd.NDArray):
            self._check_states(inputs, states)
        out, news = self._run(inputs, None if self.skip_states else states)
        return out if self.skip_states else (out, news)

    def _run(self, inputs: Any, states: Optional[List[Any]]) -> Tuple[Any, List[Any]]:
        """The output and, where states are given, all layers' new states in arrays (L D, N, H)."""
        data, news = inputs.swapaxes(0, 1) if self._layout == "NTC" else inputs, []  # (T, N, C)
        for i, layer in enumerate(self.layers):  # a layer moves what it reads to its own context
            if states is None:
                data = layer(data)
                continue
            data, new = layer(data, [take_rows(state, i * self._dir, (i + 1) * self._dir) for state in states])
            news.append(new)
        out = data.swapaxes(0, 1) if self._layout == "NTC" else data
        return out, [join_rows(layers) for layers in zip(*news)]

    def _check_states(self, inputs: Any, states: Any) -> None:
        expected = [info["shape"] for info in self.state_info(inputs.shape[self._layout.find("N")])]
        shapes = [state.shape for state in states]
        if shapes != expected:
            raise ValueError(f"Invalid recurrent state shape. Expecting {expected}, got {shapes}.")


class _Stack:
    """Layers that are not children of the block that has them: their parameters are its own, under Gluon's names."""

    def __init__(self, layers: List[RecurrentLayer]) -> None:
        self.layers = layers


def _check(hidden_size: int, num_layers: int, contexts: Any, layout: str, dropout: float,
           residual_from: Optional[int], mode: str) -> None:
    for name, value in (("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if contexts is not None and not 1 <= len(check_contexts(contexts, "contexts")) <= num_layers:
        raise ValueError(f"{num_layers} layers cannot live on {len(contexts)} contexts; give at least one context and "
                         "at most one for each layer")
    check_layout(layout)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
    if residual_from is not None and residual_from < 1:
        raise ValueError(f"residual_from must be at least 1, for the first layer's input may have another width; got "
                         f"{residual_from}")
    check_mode(mode)
