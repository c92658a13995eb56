"""The translation model as a chain: which layers, in which order, wired how."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Tuple

from mxnet import autograd
from mxnet.gluon import Block

from ... import nn
from ...planning import LayerCost, analytic

_TYPICAL_LENGTH = 16  # subwords of a sentence; the shares of the work hardly depend on it


@dataclass(frozen=True)
class ModelOptions:
    """Sizes of the translation model."""

    src_vocab_size: int  # tokens
    tgt_vocab_size: int
    shared_vocab: bool = True  # one vocabulary on both sides, and so one embedding table
    embed_size: int = 256  # width E of embeddings and of the layer before the vocabulary
    hidden_size: int = 384  # width H of the LSTMs; of each direction of the bidirectional one, see direction_size
    encoder_layers: int = 2  # LSTM layers, the first of them bidirectional
    decoder_layers: int = 2
    dropout: float = 0.3  # on the embeddings, between LSTM layers and before the vocabulary; one mask per sequence

    def __post_init__(self) -> None:
        for name in ("embed_size", "hidden_size", "encoder_layers", "decoder_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if self.encoder_layers == 1 and self.hidden_size % 2:
            raise ValueError(f"one bidirectional layer needs an even hidden_size, got {self.hidden_size}")
        if self.shared_vocab and self.src_vocab_size != self.tgt_vocab_size:
            raise ValueError(f"a shared vocabulary has one size, got {self.src_vocab_size} and {self.tgt_vocab_size}")

    @property
    def direction_size(self) -> int:
        """Width of each direction of the bidirectional layer: the encoder's output is as wide as the decoder."""
        return self.hidden_size // 2 if self.encoder_layers == 1 else self.hidden_size


def translation_chain(options: ModelOptions) -> nn.Chain:
    """The encoder-decoder as one chain of named layers.

    It takes ``src``, (N, S) int32, each row ending with the end-of-sentence token, then padding; ``src_len``, (N,)
    int32; and ``tgt``, (N, T) int32, each row beginning with the begin-of-sentence token. It returns logits, (T, N, V)
    float32. The attention reads the bottom decoder layer's outputs for all target steps at once, so that nothing ties
    the upper layers' step t to their step t-1 but their own recurrence (GNMT, Wu et al. 2016, section 3.1): every LSTM
    in training is one fused call over the sequence, and the layers can work as a pipeline.
    """
    chain = nn.Chain(prefix="translation_")
    with chain.name_scope():
        embedding = nn.SequenceEmbedding(options.src_vocab_size, options.embed_size, options.dropout,
                                         prefix="source_embedding_")
        _add(chain, "source_embedding", embedding, (0,), (1, 2))  # (S, N, E), src_len, tgt
        for i in range(options.encoder_layers):
            layer, take = _encoder_layer(options, i)
            _add(chain, f"encoder_{i}", layer, take, (1, 2))  # (S, N, H), src_len, tgt
        target = nn.SequenceEmbedding(options.tgt_vocab_size, options.embed_size, options.dropout,
                                      shared=embedding if options.shared_vocab else None, prefix="target_embedding_")
        _add(chain, "target_embedding", target, (2,), (0, 1))  # (T, N, E), memory, src_len
        bottom = nn.LSTMLayer(options.hidden_size, input_size=options.embed_size, prefix="decoder_0_")
        _add(chain, "decoder_0", bottom, (0,), (1, 2))  # (T, N, H), memory, src_len
        attention = nn.MaskedAttention(options.hidden_size, options.hidden_size, prefix="attention_")
        _add(chain, "attention", attention, (0, 1, 2), (0,))  # context, (T, N, H)
        for i in range(1, options.decoder_layers):
            first = i == 1  # it finds the context in front of the state, the others behind
            _add(chain, f"decoder_{i}", _decoder_layer(options, i), (1, 0) if first else (0, 1),
                 (0,) if first else (1,))  # (T, N, H), context
        output = nn.AttentionalOutput(options.embed_size, options.dropout,
                                      in_units=2 * options.hidden_size, prefix="output_")
        _add(chain, "output", output, (1, 0) if options.decoder_layers == 1 else (0, 1))  # (T, N, E)
        _add(chain, "projection", nn.Projection(options.tgt_vocab_size, options.embed_size, shared=target,
                                                prefix="projection_"), (0,))  # (T, N, V)
    return chain


def _add(chain: nn.Chain, name: str, block: Any, take: Tuple[int, ...], keep: Tuple[int, ...] = ()) -> None:
    chain.add_named(name, nn.Select(block, take, keep, prefix=name + "_"))


def _encoder_layer(options: ModelOptions, i: int) -> Tuple[Any, Tuple[int, ...]]:
    """Encoder layer i and the chain's arrays that it takes; residuals begin at the third layer."""
    if i == 0:
        return nn.BidirectionalLSTM(options.direction_size, input_size=options.embed_size, prefix="encoder_0_"), (0, 1)
    width = 2 * options.hidden_size if i == 1 else options.hidden_size
    layer = nn.LSTMLayer(options.hidden_size, options.dropout, width, prefix=f"encoder_{i}_")
    return (nn.Residual(layer, prefix=f"encoder_{i}_residual_") if i > 1 else layer), (0,)


def _decoder_layer(options: ModelOptions, i: int) -> Any:
    """Upper decoder layer i, which reads [h, context]; residuals begin at the third layer."""
    layer = nn.ContextLSTM(options.hidden_size, options.dropout, 2 * options.hidden_size, prefix=f"decoder_{i}_")
    return nn.Residual(layer, prefix=f"decoder_{i}_residual_") if i > 1 else layer


class TranslationLoss(Block):
    """Cross entropy, label-smoothed in training only: a validation's loss, and its perplexity, are the model's own.

    Called as `mxmp.nn.LabelSmoothedLoss` is. Each of its two losses is a graph of its own: a hybridized one is traced
    once, and could not tell training from prediction.
    """

    def __init__(self, smoothing: float) -> None:
        super().__init__()
        self._smoothed, self._plain = nn.LabelSmoothedLoss(smoothing), nn.LabelSmoothedLoss()

    def forward(self, *arrays: Any) -> Any:
        return (self._smoothed if autograd.is_training() else self._plain)(*arrays)


def chain_costs(chain: nn.Chain, batch_size: int = 64) -> List[LayerCost]:
    """The computed cost of each layer of the translation ``chain`` for ``batch_size`` sentences of typical length."""
    tokens = (batch_size, _TYPICAL_LENGTH)
    return analytic(chain, tokens, (batch_size,), tokens)
