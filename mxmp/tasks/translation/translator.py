"""Sentences in, translations out: batched beam search over a trained chain."""
from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
from gluonnlp.model import BeamSearchSampler, BeamSearchScorer
from tqdm import tqdm

from ...data import BOS_ID, EOS_ID, SourceLoader, Subwords
from ...nn import Chain
from ...planning import Plan
from .. import checkpoint
from ..placing import choose_plan
from .decoder import StepDecoder
from .model import ModelOptions, chain_costs, translation_chain

_LENGTH_OFFSET = 5  # the 5 of Wu et al. 2016, equation 14, which gluonnlp calls K


class Hypothesis(NamedTuple):
    """A translation."""

    text: str  # detokenised
    score: float  # its length-normalised log probability, in nats


class Translator:
    """Translate with beam search over a translation ``chain`` whose parameters are in place.

    ``beam_size`` translations are kept per sentence while searching; 1 is greedy search. The score of a translation is
    its log probability divided by ``((5 + length) / 6) ** lp_alpha`` (Wu et al. 2016, equation 14); without it, at 0, a
    beam prefers short translations. No translation has more than ``max_length`` subwords, nor, in a batch whose longest
    sentence has S subwords, more than 2 S + 10.
    """

    def __init__(self, chain: Chain, plan: Plan, subwords: Subwords, beam_size: int = 4, lp_alpha: float = 1.5,
                 max_length: int = 100, batch_size: int = 64) -> None:
        for name, value in (("beam_size", beam_size), ("max_length", max_length), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self._decoder = StepDecoder(chain, plan)
        self._subwords, self._beam_size, self._batch_size = subwords, beam_size, batch_size
        self._scorer = BeamSearchScorer(alpha=lp_alpha, K=_LENGTH_OFFSET)
        self._max_length = max_length

    def __call__(self, sentences: Sequence[str], progress: bool = False) -> List[List[Hypothesis]]:
        """Translate raw text; ``progress`` shows a bar, on a terminal.

        Returns up to ``beam_size`` translations for each sentence, best first, in the sentences' order; an empty
        sentence has one empty translation.
        """
        ids = self._subwords.encode_src(list(sentences))
        results: List[List[Hypothesis]] = [[Hypothesis("", 0.0)]] * len(ids)
        filled = [i for i, sentence in enumerate(ids) if sentence]
        loader = SourceLoader([ids[i] for i in filled], self._batch_size)
        with tqdm(total=len(filled), desc="translating", unit="sentence", disable=None if progress else True,
                  leave=False) as bar:
            for indices, src, src_len in loader:
                for i, hypotheses in zip(indices, self._search(src, src_len)):
                    results[filled[i]] = hypotheses
                bar.update(len(indices))
        return results

    def _search(self, src: mx.nd.NDArray, src_len: mx.nd.NDArray) -> List[List[Hypothesis]]:
        length = min(self._max_length, 2 * src.shape[1] + 10)
        sampler = BeamSearchSampler(self._beam_size, self._decoder, EOS_ID, self._scorer, length)
        states = self._decoder.encode(src, src_len)
        begin = mx.nd.full((src.shape[0],), BOS_ID, ctx=self._decoder.context, dtype="int32")
        samples, scores, lengths = (array.asnumpy() for array in sampler(begin, states))  # (N, beam, L), (N, beam)
        return [[Hypothesis(self._subwords.decode_tgt(tokens[1:end].tolist()), float(score))
                 for tokens, score, end in zip(*sentence)] for sentence in zip(samples, scores, lengths)]


def load(folder: Path, contexts: List[mx.Context], plan: Optional[str] = None) -> Tuple[Chain, Plan, Subwords]:
    """The chain of a training run's best checkpoint, its parameters on ``contexts``, with its plan and subwords.

    The run may have used other contexts; ``plan`` is as of `choose_plan`.
    """
    best = checkpoint.best(folder)
    chain = translation_chain(ModelOptions(**checkpoint.read(best)["model"]))
    chosen = choose_plan(chain_costs(chain), contexts, plan)
    checkpoint.load_chain(best, chain, chosen)
    return chain, chosen, Subwords.load(best)
