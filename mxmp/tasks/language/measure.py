"""Perplexities: of a model and of its baselines, per token and per word."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Sequence

from ...pipeline import Pipeline
from ..progress import perplexity
from .baselines import KneserNey
from .corpus import Encoded, Sentences, num_tokens
from .stream import Segment


@dataclass(frozen=True)
class Perplexity:
    """How well a text was predicted.

    Parameters
    ----------
    nats : float
        Minus the logarithm of the whole text's probability.
    tokens, words : int
        How many it has; an end mark for each line counts as one of either.
    """

    nats: float
    tokens: int
    words: int

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


def measure(pipe: Pipeline, segments: Sequence[Segment], words: int) -> Perplexity:
    """Measure a model on a text, its states carried from each segment to the next; waits for the sum at the end.

    Parameters
    ----------
    pipe : Pipeline
        The model, with a loss that is a cross entropy, not smoothed.
    segments : sequence of Segment
        From `evaluation_segments`, at least one.
    words : int
        Words of the text, as of `count_words`.

    Returns
    -------
    Perplexity
        Of the whole text.
    """
    total: Any = 0.0
    states = pipe.begin_state(segments[0].tokens.shape[0])
    for segment in segments:
        loss, states = pipe(segment.tokens, (segment.labels, segment.valid_length), states)
        total = total + loss
    return Perplexity(float(total.asscalar()), sum(segment.num_tokens for segment in segments), words)


def measure_baselines(encoded: Encoded) -> Dict[str, Perplexity]:
    """The perplexities of the test text of ``encoded`` under n-gram models (`KneserNey`) of its training text.

    By name: "unigram" and "5-gram".
    """
    end, size = encoded.vocabulary.end, len(encoded.vocabulary)
    found = {}
    for name, order in (("unigram", 1), ("5-gram", 5)):
        model = KneserNey(_ended(encoded.train, end), size, order)
        nats = -float(model.log_probs(_ended(encoded.test, end)).sum())
        found[name] = Perplexity(nats, num_tokens(encoded.test), encoded.test_words)
    return found


def _ended(sentences: Sentences, end: int) -> Sentences:
    return [[*sentence, end] for sentence in sentences]
