"""The language model as a chain: embedding, LSTM layers, vocabulary."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import Parameter

from ... import nn
from ...planning import LayerCost, Plan, analytic


@dataclass(frozen=True)
class ModelOptions:
    """Sizes of the language model."""

    vocab_size: int  # tokens V
    embed_size: int = 256  # width E of the embedding and of the last LSTM layer: the two tables have one shape
    hidden_size: int = 256  # width H of the LSTM layers before the last
    num_layers: int = 2  # LSTM layers; residual from the third where input and output are equally wide
    dropout: float = 0.0  # on the embedding, between LSTM layers and before the vocabulary; one mask per row and chunk
    tied: bool = False  # embedding and projection are one table (Press and Wolf 2017)

    def __post_init__(self) -> None:
        for name in ("vocab_size", "embed_size", "hidden_size", "num_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")


def language_chain(options: ModelOptions, projection: bool = True) -> nn.Chain:
    """The language model as one chain of named layers, all of which can run in time chunks.

    From tokens (N, T) int32 to logits (N, T, V) or, without the ``projection``, of which a `ShardedSoftmaxLoss` has one
    of its own, the last LSTM layer's outputs (N, T, E): batch first as the tokens are, for a pipeline joins time chunks
    along the second axis.
    """
    chain = nn.Chain(prefix="language_")
    with chain.name_scope():
        embedding = nn.SequenceEmbedding(options.vocab_size, options.embed_size, options.dropout, prefix="embedding_")
        chain.add_named("embedding", embedding)  # (T, N, E)
        for i in range(options.num_layers):
            chain.add_named(f"lstm_{i}", _layer(options, i))  # (T, N, H), the last (T, N, E)
        if options.dropout:
            chain.add_named("dropout", mx.gluon.nn.Dropout(options.dropout, axes=(0,), prefix="dropout_"))
        chain.add_named("batch_first", nn.TimeFirst(prefix="batch_first_"))  # (N, T, E)
        if projection:
            chain.add_named("projection", nn.Projection(options.vocab_size, options.embed_size,
                                                        shared=embedding if options.tied else None,
                                                        prefix="projection_"))  # (N, T, V)
    return chain


def _layer(options: ModelOptions, i: int) -> Any:
    width_in = options.hidden_size if i else options.embed_size
    width_out = options.embed_size if i == options.num_layers - 1 else options.hidden_size
    layer = nn.LSTMLayer(width_out, options.dropout if i else 0.0, width_in, prefix=f"lstm_{i}_")
    return nn.Residual(layer, prefix=f"lstm_{i}_residual_") if i > 1 and width_in == width_out else layer


def split_loss(options: ModelOptions, contexts: Sequence[mx.Context]) -> nn.ShardedSoftmaxLoss:
    """The loss of a chain without a projection, whose rows live on several ``contexts``.

    It takes the chain's outputs (N, T, E), labels (N, T) and lengths (N,).
    """
    if options.tied:
        raise ValueError("--tied: a projection that is split over contexts cannot share the embedding's table; leave "
                         "out --tied or --softmax_contexts")
    return nn.ShardedSoftmaxLoss(options.vocab_size, contexts, options.embed_size, layout="NTC", prefix="projection_")


def begin_with_frequencies(biases: Sequence[Parameter], sentences: Sequence[Sequence[int]], end: int) -> None:
    """Set the output's biases, several where it is split by rows, to the logarithms of the tokens' frequencies.

    The sentences are token numbers without end marks, of which each has one. So the first steps need not learn what
    counting tells: on Tatoeba's English side the perplexity after 200 steps of 1,024 tokens is 47 instead of 157.
    """
    size = sum(bias.shape[0] for bias in biases)
    tokens = np.concatenate([np.asarray(sentence, int) for sentence in sentences])
    counts = np.bincount(tokens, minlength=size) + 1.0  # every token may come
    counts[end] += len(sentences)
    for bias in biases:
        start = getattr(bias, "start", 0)
        bias.set_data(mx.nd.array(np.log(counts / counts.sum())[start:start + bias.shape[0]]))


def check_tied(options: ModelOptions, plan: Plan) -> None:
    """Refuse a plan that takes a tied table's two ends apart."""
    first, last = plan.contexts[0], plan.contexts[-1]
    if options.tied and first != last:
        raise ValueError(f"--tied: the embedding would live on {first} and the projection on {last} (plan {plan}), but "
                         f"they are one table; give one context, as --contexts \"{first}\", or leave out --tied")


def chain_costs(chain: nn.Chain, loss: Any, batch_size: int = 64, bptt: int = 16) -> List[LayerCost]:
    """The computed cost of each layer of the language ``chain`` for ``batch_size`` rows of ``bptt`` steps.

    With the last layer's counts what a ``loss`` that has the projection does on one context.
    """
    return analytic(chain, mx.nd.zeros((batch_size, bptt), dtype="int32"), loss=loss)
