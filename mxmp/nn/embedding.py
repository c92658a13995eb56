"""Token numbers to vectors, time first, and vectors to scores over the vocabulary."""
from __future__ import annotations

from typing import Any, Optional

import mxnet as mx

from .base import MovingBlock


class SequenceEmbedding(MovingBlock):
    """Embed a batch of token sequences, scaled, and turn it time first.

    The table is drawn from N(0, 1/16), standard deviation 1/4, and multiplied by sqrt(E) where it is read
    (Vaswani et al. 2017, "Attention Is All You Need", section 3.4, multiply likewise): an LSTM sees inputs large
    enough to tell tokens apart from the first step on, and an output layer that shares the table gets smaller ones.

    Parameters
    ----------
    vocab_size : int
        Number of tokens V.
    embed_size : int
        Width E.
    dropout : float, default 0
        Share of the result that is dropped in training, one mask per sequence.
    shared : SequenceEmbedding or None
        Use that block's table. Where the two live on different contexts, the one Parameter has a copy on each
        and `mxmp.Trainer` adds up their gradients.

    Inputs
    ------
    - **tokens**: (N, T) int or float, token numbers from 0 to V - 1; one outside counts as the nearest inside.

    Outputs
    -------
    - **out**: (T, N, E) float.
    """

    def __init__(self, vocab_size: int, embed_size: int, dropout: float = 0.0,
                 shared: Optional[SequenceEmbedding] = None, prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._scale = embed_size ** 0.5
        with self.name_scope():
            self.table: Any = mx.gluon.nn.Embedding(
                vocab_size, embed_size, weight_initializer=None if shared else mx.init.Normal(0.25),
                params=shared.table.params if shared else None)
            self.dropout = mx.gluon.nn.Dropout(dropout, axes=(0,)) if dropout else None

    def hybrid_forward(self, F: Any, tokens: Any) -> Any:
        out = self.table(F.transpose(tokens)) * self._scale  # (N, T) -> (T, N, E)
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
