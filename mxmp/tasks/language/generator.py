"""Text from a language model: the chain runs one token at a time, its layers on their own contexts."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import mxnet as mx
import numpy as np

from ...nn import Chain, ShardedSoftmaxLoss
from ...pipeline.states import is_stateful
from ...planning import Plan
from .. import checkpoint
from ..placing import choose_plan, split_contexts
from .model import ModelOptions, chain_costs, check_tied, language_chain, split_loss
from .options import Options
from .vocabulary import Vocabulary, load_vocabulary


class Generator:
    """Draw text from a language ``chain`` whose parameters are in place.

    A loss that is ``split`` over contexts has the projection where the chain has none.
    """

    def __init__(self, chain: Chain, plan: Plan, vocabulary: Vocabulary,
                 split: Optional[ShardedSoftmaxLoss] = None) -> None:
        layers = list(chain.layers.values())
        self._layers = [(layers[i], context) for context, stage in zip(plan.contexts, plan.ranges) for i in stage]
        self._vocabulary, self._split = vocabulary, split

    def __call__(self, prompt: str = "", length: int = 50, num_samples: int = 1, temperature: float = 1.0,
                 top_k: int = 0, seed: int = 0) -> List[str]:
        """Go on with a ``prompt``, or begin a sentence; returns ``num_samples`` texts, each with the prompt.

        To each ``length`` tokens are drawn, ends of sentences, which become ends of lines, among them. Scores are
        divided by the ``temperature``, near 0 the most likely token is taken; ``top_k`` tokens are drawn from, all with
        0. The same ``seed`` draws the same texts, on any contexts, but for what rounding decides.
        """
        *_, texts = self.grow(prompt, length, num_samples, temperature, top_k, seed)
        return list(map(self.decode, texts))

    def grow(self, prompt: str, length: int, num_samples: int, temperature: float, top_k: int,
             seed: int) -> Iterator[List[List[int]]]:
        """The same list of the texts' tokens whenever each has one more, for who may not want to wait for the last."""
        for name, value, least in (("length", length, 1), ("num_samples", num_samples, 1), ("top_k", top_k, 0),
                                   ("seed", seed, 0)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not 0 < temperature < np.inf:
            raise ValueError(f"temperature must be positive and finite, got {temperature}")
        begin = [self._vocabulary.end, *self._vocabulary.encode([prompt])[0]]
        rng, texts = np.random.RandomState(seed), [begin[1:] for _ in range(num_samples)]
        size = len(self._vocabulary)
        best = min(top_k + len(self._vocabulary.never_sampled), size) if top_k else size
        scores, states = self._run(np.array([begin] * num_samples), self._begin_state(num_samples), best)
        for _ in range(length):
            drawn = [draw(self._allowed(row), temperature, top_k, rng) for row in scores]
            for text, token in zip(texts, drawn):
                text.append(token)
            yield texts
            scores, states = self._run(np.array(drawn)[:, None], states, best)

    def _run(self, tokens: np.ndarray, states: List[Any], best: int) -> Tuple[np.ndarray, List[Any]]:
        """Scores (N, V) of the token after ``tokens`` (N, T), of the ``best`` tokens at least, and the new states."""
        array = mx.nd.array(tokens, dtype="int32")
        new: List[Any] = []
        for layer, context in self._layers:
            array = array.as_in_context(context)
            if is_stateful(layer):
                array, state = layer(array, states[len(new)])
                new.append(state)
            else:
                array = layer(array)
        return self._scores(array[:, -1], best), new

    def _scores(self, last: mx.nd.NDArray, best: int) -> np.ndarray:
        if self._split is None:
            return last.asnumpy()
        log_probs, tokens = (array.asnumpy() for array in self._split.top_k(last, best))
        scores = np.full((len(last), len(self._vocabulary)), -np.inf)
        np.put_along_axis(scores, tokens, log_probs, axis=-1)
        return scores

    def _begin_state(self, batch_size: int) -> List[Any]:
        return [layer.begin_state(batch_size, ctx=context) for layer, context in self._layers if is_stateful(layer)]

    def _allowed(self, scores: np.ndarray) -> np.ndarray:
        scores = scores.astype("float64")
        scores[self._vocabulary.never_sampled] = -np.inf
        return scores

    def decode(self, tokens: List[int]) -> str:
        """The text of tokens."""
        lines: List[List[int]] = [[]]
        for token in tokens:
            if token == self._vocabulary.end:
                lines.append([])
            else:
                lines[-1].append(token)
        return "\n".join(self._vocabulary.decode(line) for line in lines).rstrip("\n")


def load(folder: Path, contexts: List[mx.Context], plan: Optional[str] = None, softmax_contexts: int = 1) -> Generator:
    """What draws from a training run's best checkpoint, on ``contexts``; the run may have used others.

    ``plan`` is as of `choose_plan`. The rows of a projection that was split in training live on the last
    ``softmax_contexts`` of them; one that was not cannot be split.
    """
    stages, softmax = split_contexts(contexts, softmax_contexts)
    with checkpoint.best(folder) as best:
        sizes = checkpoint.sizes(best, ModelOptions)
        is_split = checkpoint.options(best, Options).softmax_contexts > 1
        if softmax and not is_split:
            raise ValueError(f"{best} was trained with its projection on one context; leave out --softmax_contexts")
        chain = language_chain(sizes, not is_split)
        chosen = choose_plan(chain_costs(chain, None), stages, plan)
        check_tied(sizes, chosen)
        split = split_loss(sizes, softmax or chosen.contexts[-1:]) if is_split else None
        checkpoint.load_chain(best, chain, chosen, split)
        return Generator(chain, chosen, load_vocabulary(best), split)


def draw(scores: np.ndarray, temperature: float, top_k: int, rng: np.random.RandomState) -> int:
    """The number of a token, drawn from the softmax of ``scores / temperature`` with one number of ``rng``.

    Scores are (V,) float64, minus infinity for tokens that are never drawn; only the ``top_k`` largest count, all with
    0.
    """
    chosen = np.argsort(-scores, kind="stable")[:top_k or None]
    with np.errstate(over="ignore"):  # near 0 the quotients may be minus infinity, which is as good
        ends = np.cumsum(np.exp((scores[chosen] - scores[chosen[0]]) / temperature))
    return int(chosen[np.searchsorted(ends, rng.uniform() * ends[-1], side="right")])
