"""Text from a language model: the chain runs one token at a time, its layers on their own contexts."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from ...nn import ShardedSoftmaxLoss
from ...pipeline.states import is_stateful
from ...planning import Plan
from .. import checkpoint
from .model import ModelOptions, check_tied, language_chain, split_loss
from .vocabulary import Vocabulary, load_vocabulary


class Generator:
    """Draw text from a trained chain.

    Parameters
    ----------
    chain : Chain
        From `language_chain`, with parameters in place.
    plan : Plan
        Where the layers live.
    vocabulary : Words or Pieces
        Of the training run.
    split : ShardedSoftmaxLoss or None
        What has the projection, if the chain has none.
    """

    def __init__(self, chain: Any, plan: Plan, vocabulary: Vocabulary,
                 split: Optional[ShardedSoftmaxLoss] = None) -> None:
        layers = list(chain.layers.values())
        self._layers = [(layers[i], context) for context, part in zip(plan.contexts, plan.ranges) for i in part]
        self._vocabulary, self._split = vocabulary, split

    def __call__(self, prompt: str = "", length: int = 50, num_samples: int = 1, temperature: float = 1.0,
                 top_k: int = 0, seed: int = 0) -> List[str]:
        """Go on with a text.

        Parameters
        ----------
        prompt : str
            What the texts begin with; without one they begin like a sentence.
        length : int
            Tokens to draw; ends of sentences, which become ends of lines, are among them.
        num_samples : int
            How many texts.
        temperature : float
            What the scores are divided by; near 0 the most likely token is taken.
        top_k : int
            Draw from the k most likely tokens; 0 for all.
        seed : int
            The same seed draws the same texts, on any contexts, but for what rounding decides.

        Returns
        -------
        list of str
            The texts, each with the prompt.

        Raises
        ------
        ValueError
            If a number is out of range.
        """
        for name, value, least in (("length", length, 1), ("num_samples", num_samples, 1), ("top_k", top_k, 0)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        begin = [self._vocabulary.end, *self._vocabulary.encode([prompt])[0]]
        rng, texts = np.random.RandomState(seed), [begin[1:] for _ in range(num_samples)]
        wanted = min(top_k + len(self._vocabulary.never_sampled), len(self._vocabulary)) if top_k else len(
            self._vocabulary)
        scores, states = self._run(np.array([begin] * num_samples), self._begin_state(num_samples), wanted)
        for _ in range(length):
            drawn = [draw(self._allowed(row), temperature, top_k, rng) for row in scores]
            for text, token in zip(texts, drawn):
                text.append(token)
            scores, states = self._run(np.array(drawn)[:, None], states, wanted)
        return [self._decode(text) for text in texts]

    def _run(self, tokens: np.ndarray, states: List[Any], wanted: int) -> Tuple[np.ndarray, List[Any]]:
        """Scores (N, V) of the token after ``tokens`` (N, T), of the ``wanted`` best at least, and the new states."""
        array = mx.nd.array(tokens, dtype="int32")
        new: List[Any] = []
        for layer, context in self._layers:
            array = array.as_in_context(context)
            if is_stateful(layer):
                array, state = layer(array, states[len(new)])
                new.append(state)
            else:
                array = layer(array)
        return self._scores(array[:, -1], wanted), new

    def _scores(self, last: mx.nd.NDArray, wanted: int) -> np.ndarray:
        if self._split is None:
            return last.asnumpy()
        log_probs, tokens = (array.asnumpy() for array in self._split.top_k(last, wanted))
        scores = np.full((len(last), len(self._vocabulary)), -np.inf)
        np.put_along_axis(scores, tokens, log_probs, axis=-1)
        return scores

    def _begin_state(self, batch_size: int) -> List[Any]:
        return [layer.begin_state(batch_size, ctx=context) for layer, context in self._layers if is_stateful(layer)]

    def _allowed(self, scores: np.ndarray) -> np.ndarray:
        scores = scores.astype("float64")
        scores[self._vocabulary.never_sampled] = -np.inf
        return scores

    def _decode(self, tokens: List[int]) -> str:
        lines: List[List[int]] = [[]]
        for token in tokens:
            if token == self._vocabulary.end:
                lines.append([])
            else:
                lines[-1].append(token)
        return "\n".join(self._vocabulary.decode(line) for line in lines).rstrip("\n")


def load_generator(found: Path, plan_for: Callable[[Any], Plan], softmax: Sequence[mx.Context] = ()) -> Generator:
    """Build a checkpoint's model with its parameters in place.

    Parameters
    ----------
    found : Path
        From `checkpoint.find`.
    plan_for : callable
        Takes the chain and returns the `Plan` to place it with.
    softmax : sequence of mx.Context
        Where the rows of a projection live that was split in training, too; by default on the plan's last context.

    Returns
    -------
    Generator
        It draws from the model.

    Raises
    ------
    ValueError
        If the checkpoint cannot be read, the plan takes a tied table's two ends apart, or a projection that was not
        split in training should be.
    """
    described = checkpoint.read(found)
    sizes, is_split = ModelOptions(**described["model"]), described["options"].get("softmax_contexts", 1) > 1
    if softmax and not is_split:
        raise ValueError(f"{found} was trained with its projection on one context; leave out --softmax_contexts")
    chain = language_chain(sizes, not is_split)
    plan = plan_for(chain)
    check_tied(sizes, plan)
    split = split_loss(sizes, softmax or plan.contexts[-1:]) if is_split else None
    checkpoint.load_chain(found, chain, plan, split)
    return Generator(chain, plan, load_vocabulary(found), split)


def draw(scores: np.ndarray, temperature: float, top_k: int, rng: np.random.RandomState) -> int:
    """Draw one token from the softmax of ``scores / temperature``.

    Parameters
    ----------
    scores : numpy.ndarray
        (V,) float64, minus infinity for tokens that are never drawn.
    temperature : float
        Above 0.
    top_k : int
        Only the k largest scores count; 0 for all.
    rng : numpy.random.RandomState
        One number is taken from it.

    Returns
    -------
    int
        The token's number.
    """
    chosen = np.argsort(-scores, kind="stable")[:top_k or None]
    ends = np.cumsum(np.exp((scores[chosen] - scores[chosen[0]]) / temperature))
    return int(chosen[np.searchsorted(ends, rng.uniform() * ends[-1], side="right")])
