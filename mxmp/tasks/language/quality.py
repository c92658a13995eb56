"""How well a text is predicted: the perplexities of a model and of its baselines, per token and per word."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Sequence

from ...pipeline import Pipeline
from ..progress import perplexity
from .kneser_ney import KneserNey
from .stream import Segment
from .vocabulary import Encoded, Sentences, num_tokens

_BASELINES = {"unigram": 1, "5-gram": 5}  # the order of each


@dataclass(frozen=True)
class Perplexity:
    """How well a text was predicted."""

    nats: float  # minus the logarithm of the whole text's probability
    tokens: int  # in the text, an end mark for each line among them
    words: int  # the same of words

    @property
    def per_token(self) -> float:
        """exp(nats / tokens): what models with the same tokens are compared by."""
        return perplexity(self.nats / self.tokens)

    @property
    def per_word(self) -> float:
        """exp(nats / words): what models with different tokens are compared by."""
        return perplexity(self.nats / self.words)

    def as_dict(self) -> Dict[str, Any]:
        """The fields and both perplexities by name."""
        return {**asdict(self), "per_token": self.per_token, "per_word": self.per_word}


def score(pipe: Pipeline, segments: Sequence[Segment], words: int) -> Perplexity:
    """The perplexity of a text of so many ``words`` under a model whose loss is a cross entropy, not smoothed.

    States are carried from each segment to the next, from `evaluation_segments`; waits for the sum at the end.
    """
    total: Any = 0.0
    states = pipe.begin_state(segments[0].tokens.shape[0])
    for segment in segments:
        loss, states = pipe(segment.tokens, (segment.labels, segment.valid_length), states)
        total = total + loss
    return Perplexity(float(total.asscalar()), sum(segment.num_tokens for segment in segments), words)


def score_baselines(encoded: Encoded) -> Dict[str, Perplexity]:
    """By name the perplexities of the test text of ``encoded`` under n-gram models of its training text."""
    end, size = encoded.vocabulary.end, len(encoded.vocabulary)
    scores = {}
    for name, order in _BASELINES.items():
        model = KneserNey(_ended(encoded.train, end), size, order)
        nats = -float(model.log_probs(_ended(encoded.test, end)).sum())
        scores[name] = Perplexity(nats, num_tokens(encoded.test), encoded.test_words)
    return scores


def _ended(sentences: Sentences, end: int) -> Sentences:
    return [[*sentence, end] for sentence in sentences]
