"""Models that plans are made for, with the shapes of their inputs and inputs to measure them with."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Sequence, Tuple

import mxnet as mx
import numpy as np

from .. import nn
from .language import model as language
from .translation.model import ModelOptions, translation_chain


@dataclass(frozen=True)
class Model:
    """A chain with its loss, and what it takes.

    Parameters
    ----------
    chain : Chain
        The layers.
    loss : Block
        Takes logits, labels (N, T) and lengths (N,).
    vocab_size, batch_size, seq_len : int
        Of its batches.
    two_sided : bool
        Whether it reads a source and a target, or one text.
    """

    chain: nn.Chain
    loss: Any
    vocab_size: int
    batch_size: int
    seq_len: int
    two_sided: bool

    def shapes(self, rows: int, steps: int) -> Tuple[Tuple[int, ...], ...]:
        """The shapes of the chain's inputs for ``rows`` sequences of ``steps`` tokens."""
        return ((rows, steps), (rows,), (rows, steps)) if self.two_sided else ((rows, steps),)

    def inputs(self) -> List[mx.nd.NDArray]:
        """A batch of random tokens, with all rows of full length; int32."""
        return [self._lengths() if len(shape) == 1 else self._tokens()
                for shape in self.shapes(self.batch_size, self.seq_len)]

    def labels(self) -> List[mx.nd.NDArray]:
        """What the loss takes after the chain's outputs: random tokens (N, T) and lengths (N,), int32."""
        return [self._tokens(), self._lengths()]

    def _tokens(self) -> mx.nd.NDArray:
        random = np.random.RandomState(1)
        return mx.nd.array(random.randint(0, self.vocab_size, (self.batch_size, self.seq_len)), dtype="int32")

    def _lengths(self) -> mx.nd.NDArray:
        return mx.nd.full((self.batch_size,), self.seq_len, dtype="int32")


def translation_model(flags: Any) -> Model:
    """The translation model, for sentences of one length; ``flags`` has the sizes."""
    sizes = ModelOptions(flags.vocab_size, flags.vocab_size, True, flags.embed_size, flags.hidden_size,
                         flags.encoder_layers, flags.decoder_layers, 0.2)
    return Model(translation_chain(sizes), nn.LabelSmoothedLoss(0.1), flags.vocab_size, flags.batch_size,
                 flags.seq_len, two_sided=True)


def language_model(flags: Any, softmax: Sequence[mx.Context] = ()) -> Model:
    """The language model; ``flags`` has the sizes.

    With ``softmax`` the projection is split over these contexts, and the chain ends before it.
    """
    sizes = language.ModelOptions(flags.vocab_size, flags.embed_size, flags.hidden_size, flags.num_layers, 0.2)
    chain, loss = language.language_chain(sizes, not softmax), nn.ShardedSoftmaxLoss(
        flags.vocab_size, softmax, flags.embed_size, layout="NTC") if softmax else nn.LabelSmoothedLoss(layout="NTC")
    return Model(chain, loss, flags.vocab_size, flags.batch_size, flags.seq_len, two_sided=False)
