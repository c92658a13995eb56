"""From the decoder's top layer to scores over the vocabulary."""
from __future__ import annotations

from typing import Any, Optional

import mxnet as mx

from .embedding import SequenceEmbedding
from .join import side_by_side
from .moving import MovingBlock


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


class Projection(MovingBlock):
    """Scores over the vocabulary, with a table of its own or an embedding's.

    Parameters
    ----------
    vocab_size : int
        Number of tokens V.
    in_units : int
        Width E of the input.
    shared : SequenceEmbedding or None
        The embedding whose table is the weight (Press and Wolf 2017, "Using the Output Embedding to Improve
        Language Models").

    Inputs
    ------
    - **data**: (T, N, E) float.

    Outputs
    -------
    - **logits**: (T, N, V) float, not normalised.
    """

    def __init__(self, vocab_size: int, in_units: int, shared: Optional[SequenceEmbedding] = None,
                 prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.dense = mx.gluon.nn.Dense(vocab_size, flatten=False, in_units=in_units,
                                           weight_initializer=None if shared else mx.init.Xavier(),
                                           params=shared.table.params if shared else None)

    def hybrid_forward(self, F: Any, data: Any) -> Any:
        return self.dense(data)
