"""Sentences in, translations out: beam search over a trained chain, one decoding step at a time."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
from gluonnlp.model import BeamSearchSampler, BeamSearchScorer
from tqdm import tqdm

from ...data import BOS_ID, EOS_ID, SourceLoader, Subwords
from ...nn import Chain
from ...planning import Plan
from .. import checkpoint
from ..placing import choose_plan
from .model import ModelOptions, chain_costs, translation_chain
from .options import Options


class StepDecoder:
    """Run the layers of a translation chain with its parameters one target token at a time, each on its own context.

    It follows gluonnlp's contract for a decoder: ``log_probs, states = decoder(tokens, states)``, the leading
    axis of every state being sentences x beams. The states travel: they lie on the last context, where the
    search reorders them, and visit their layer's context in each step.
    """

    def __init__(self, chain: Any, plan: Plan) -> None:
        self._layers: Dict[str, Any] = chain.layers
        names = list(self._layers)
        self._contexts = {names[i]: context for context, stage in zip(plan.contexts, plan.ranges) for i in stage}
        self._encoder = names[:names.index("target_embedding")]
        self._decoder = [name for name in names if name.startswith("decoder_")]
        self.context = plan.contexts[-1]  # of tokens, states and log probabilities
        for layer in self._layers.values():
            layer.hybridize()

    def encode(self, src: mx.nd.NDArray, src_len: mx.nd.NDArray) -> List[mx.nd.NDArray]:
        """Run the encoder on source ids with `EOS_ID`, (N, S) int32, and their lengths, (N,) int32; keep its output.

        Returns the decoder's first states, (N, H) float32 each: of every decoder layer hidden and cell state.
        """
        arrays: Tuple = (src, src_len, src)  # the encoder only carries its third array
        for name in self._encoder:
            arrays = self._layers[name](*self._move(arrays, name))
        self._memory, self._src_len = self._move(arrays[:2], "attention")  # (S, N, D), (N,)
        states = []
        for name in self._decoder:
            begin = self._block(name).begin_state(src.shape[0], ctx=self.context)
            states += [state[0] for state in begin]  # (1, N, H) -> (N, H)
        return states

    def __call__(self, tokens: mx.nd.NDArray, states: Sequence[Any]) -> Tuple[mx.nd.NDArray, List[mx.nd.NDArray]]:
        """Take one step from the latest ``tokens``, (sentences x beams,) int32, and the ``states`` of the step before.

        Returns the log probabilities of the next token, (sentences x beams, V) float32, in nats, and the new states.
        """
        hidden = self._call("target_embedding", tokens.expand_dims(1))  # (1, B, E)
        new_states: List[mx.nd.NDArray] = []
        context: List[mx.nd.NDArray] = []
        for i, name in enumerate(self._decoder):
            pair = [state.expand_dims(0) for state in self._move(states[2 * i:2 * i + 2], name)]  # (1, B, H)
            hidden, pair = self._call(name, hidden, *context, pair)
            new_states += [state[0].as_in_context(self.context) for state in pair]
            if i == 0:
                context = [self._attend(hidden)]
        logits = self._call("projection", self._call("output", hidden, *context))  # (1, B, V)
        return mx.nd.log_softmax(logits[0]).as_in_context(self.context), new_states

    def _attend(self, query: mx.nd.NDArray) -> mx.nd.NDArray:
        """Attention with a sentence's beams in the place of target steps: the memory is never tiled."""
        sentences = self._src_len.shape[0]
        width = query.shape[-1]
        beams = query.reshape((sentences, -1, width)).swapaxes(0, 1)  # (1, N * beam, H) -> (beam, N, H)
        context = self._call("attention", beams, self._memory, self._src_len)  # (beam, N, D)
        return context.swapaxes(0, 1).reshape((1, -1, context.shape[-1]))  # (1, N * beam, D)

    def _block(self, name: str) -> Any:
        return self._layers[name].block

    def _call(self, name: str, *arrays: Any) -> Any:
        return self._block(name)(*self._move(arrays, name))

    def _move(self, arrays: Sequence[Any], name: str) -> Tuple:
        context = self._contexts[name]
        return tuple([a.as_in_context(context) for a in array] if isinstance(array, list)
                     else array.as_in_context(context) for array in arrays)


_LENGTH_OFFSET = 5  # the 5 of Wu et al. 2016, equation 14, which gluonnlp calls K


class LengthReward(BeamSearchScorer):
    """A translation's log probability divided by ``((5 + length) / 6) ** alpha``, in which ``length`` ends at ``most``.

    With an alpha above 1 a loop of likely tokens would be the better the longer it is. ``most`` is (N, 1) float32, each
    sentence's own, so that its translation depends on no other sentence. Inputs and output are gluonnlp's: log
    probabilities (N, beam, V), scores (N, beam) and the step, (1,), from 1; new scores (N, beam, V).
    """

    def __init__(self, alpha: float, most: mx.nd.NDArray) -> None:
        super().__init__(alpha, _LENGTH_OFFSET)
        self.most = self.params.get_constant("most", most)
        self.initialize(ctx=most.context)

    def hybrid_forward(self, F: Any, outputs: Any, scores: Any, step: Any, most: Any) -> Any:
        before, now = ((self._K + F.broadcast_minimum(length, most)) ** self._alpha / (self._K + 1) ** self._alpha
                       for length in (step - 1, step))  # (N, 1)
        sums = F.expand_dims(F.broadcast_mul(scores, before), axis=-1)
        return F.broadcast_div(F.broadcast_add(outputs, sums), F.expand_dims(now, axis=-1))


class Hypothesis(NamedTuple):
    """A translation."""

    text: str  # detokenised
    score: float  # its length-normalised log probability, in nats


class Translator:
    """Translate with beam search over a translation ``chain`` whose parameters are in place.

    No translation has more than ``max_length`` subwords. ``beam_size`` translations are kept per sentence while
    searching; 1 is greedy search. The score of a translation is its log probability divided by
    ``((5 + length) / 6) ** lp_alpha`` (Wu et al. 2016, equation 14); without it, at 0, a beam prefers short
    translations. The length counts up to 1.5 S + 10, the sentence having S tokens with its end mark: beyond, each token
    costs what it costs, or a loop would win. A batch has at most ``batch_size`` sentences and, padding included, as
    many positions as that many of ``max_length`` subwords; a longer sentence is a batch of its own.
    """

    def __init__(self, chain: Chain, plan: Plan, subwords: Subwords, max_length: int, beam_size: int = 4,
                 lp_alpha: float = 1.5, batch_size: int = 64) -> None:
        for name, value in (("max_length", max_length), ("beam_size", beam_size), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= lp_alpha < math.inf:
            raise ValueError(f"lp_alpha must be at least 0 and finite, got {lp_alpha}")
        self._decoder = StepDecoder(chain, plan)
        self._subwords, self._beam_size, self._batch_size = subwords, beam_size, batch_size
        self._lp_alpha, self._max_length = lp_alpha, max_length

    def __call__(self, sentences: Sequence[str], bar: Optional[tqdm] = None) -> List[List[Hypothesis]]:
        """Translate raw text; a ``bar`` moves on by each sentence.

        Returns up to ``beam_size`` translations for each sentence, best first, in the sentences' order; a blank
        sentence has one empty translation.
        """
        ids = self._subwords.encode_src(list(sentences))
        results: List[List[Hypothesis]] = [[Hypothesis("", 0.0)]] * len(ids)
        filled = [i for i, sentence in enumerate(ids) if sentence]
        loader = SourceLoader([ids[i] for i in filled], self._batch_size, self._batch_size * (self._max_length + 1))
        bar = tqdm(disable=True) if bar is None else bar
        bar.update(len(ids) - len(filled))
        for indices, src, src_len in loader:
            for i, hypotheses in zip(indices, self._search(src, src_len)):
                results[filled[i]] = hypotheses
            bar.update(len(indices))
        return results

    def _search(self, src: mx.nd.NDArray, src_len: mx.nd.NDArray) -> List[List[Hypothesis]]:
        most = (1.5 * src_len.astype("float32") + 10).as_in_context(self._decoder.context).expand_dims(1)
        sampler = BeamSearchSampler(self._beam_size, self._decoder, EOS_ID, LengthReward(self._lp_alpha, most),
                                    self._max_length)
        states = self._decoder.encode(src, src_len)
        begin = mx.nd.full((src.shape[0],), BOS_ID, ctx=self._decoder.context, dtype="int32")
        samples, scores, lengths = (array.asnumpy() for array in sampler(begin, states))  # (N, beam, L), (N, beam)
        return [[Hypothesis(self._subwords.decode_tgt(tokens[1:end].tolist()), float(score))
                 for tokens, score, end in zip(*sentence)] for sentence in zip(samples, scores, lengths)]


def translating(count: int) -> tqdm:
    """A bar, on a terminal, for the translation of ``count`` sentences."""
    return tqdm(total=count, desc="translating", unit="sentence", disable=None, leave=False)


def load(folder: Path, contexts: List[mx.Context],
         plan: Optional[str] = None) -> Tuple[Chain, Plan, Subwords, int]:
    """The chain of a training run's best checkpoint, its parameters on ``contexts``, its plan and subwords, and the
    ``--max_length`` that it was trained and validated with.

    The run may have used other contexts; ``plan`` is as of `choose_plan`.
    """
    with checkpoint.best(folder) as best:
        chain = translation_chain(checkpoint.sizes(best, ModelOptions))
        chosen = choose_plan(chain_costs(chain), contexts, plan)
        checkpoint.load_chain(best, chain, chosen)
        return chain, chosen, Subwords.load(best), checkpoint.options(best, Options).max_length
