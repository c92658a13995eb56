"""Attention of all target steps at once over a padded source, and the layer that joins its context to the decoder."""
from __future__ import annotations

from typing import Any

import mxnet as mx

from .base import MovingBlock
from .operators import side_by_side, within


class MaskedAttention(MovingBlock):
    r"""Multiplicative ("general") attention with the source's padding masked out.

    ``score(q, m) = (W q) . m``, as in Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine
    Translation", section 3.1. The queries are the bottom decoder layer's outputs for the whole target, so that
    one call serves all steps and no loop runs through the decoder.

    Parameters
    ----------
    memory_size : int
        Width D of the memory.
    query_size : int, default 0
        Width C of the queries; 0 takes it from the first input seen.

    Inputs
    ------
    - **query**: (T, N, C) float.
    - **memory**: (S, N, D) float.
    - **valid_length**: (N,) int or float, the number of valid steps of each memory; one outside counts as the nearest
      from 1 to S.

    Outputs
    -------
    - **context**: (T, N, D) float.
    """

    layout = "TNC"  # of query, memory and context
    chunkable = False  # every output depends on the whole memory: a pipeline must not cut it in time

    def __init__(self, memory_size: int, query_size: int = 0, prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.query = mx.gluon.nn.Dense(memory_size, use_bias=False, flatten=False, in_units=query_size,
                                           weight_initializer=mx.init.Xavier())

    def hybrid_forward(self, F: Any, query: Any, memory: Any, valid_length: Any) -> Any:
        query = F.transpose(self.query(query), axes=(1, 0, 2))  # (N, T, D)
        memory = F.transpose(memory, axes=(1, 0, 2))  # (N, S, D)
        scores = F.batch_dot(memory, query, transpose_b=True)  # (N, S, T)
        # about float32's least number, and minus infinity in float16: the padding's weights are exactly 0, whatever the
        # scores; the NaN of a softmax over nothing cannot come, for one step is valid at least
        valid_length = within(F, valid_length, memory, 1, least=1)
        scores = F.SequenceMask(scores, valid_length, use_sequence_length=True, axis=1, value=-3.4e38)
        weights = F.softmax(scores, axis=1)
        return F.transpose(F.batch_dot(weights, memory, transpose_a=True), axes=(1, 0, 2))  # (T, N, D)


class AttentionalOutput(MovingBlock):
    """A tanh layer over ``[top, context]`` (Luong et al. 2015, equation 5), back to the embedding's width.

    Parameters
    ----------
    units : int
        Width E of the result.
    dropout : float, default 0
        Share of the result that is dropped in training, one mask per sequence.
    in_units : int, default 0
        Width of top and context together; 0 takes it from the first input seen.

    Inputs
    ------
    - **top**: (T, N, C) float.
    - **context**: (T, N, C) float.

    Outputs
    -------
    - **out**: (T, N, E) float.
    """

    layout = "TNC"  # of inputs and output; the dropout has one mask for all steps

    def __init__(self, units: int, dropout: float = 0.0, in_units: int = 0, prefix: Any = None,
                 params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.dense = mx.gluon.nn.Dense(units, activation="tanh", flatten=False, in_units=in_units,
                                           weight_initializer=mx.init.Xavier())
            self.dropout = mx.gluon.nn.Dropout(dropout, axes=(0,)) if dropout else None

    def hybrid_forward(self, F: Any, top: Any, context: Any) -> Any:
        out = self.dense(side_by_side(F, top, context))  # (T, N, 2C) -> (T, N, E)
        return out if self.dropout is None else self.dropout(out)
