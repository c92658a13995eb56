"""Sentences in, translations out: batched beam search over a trained chain."""
from __future__ import annotations

from typing import Any, List, NamedTuple, Sequence

import mxnet as mx
from gluonnlp.model import BeamSearchSampler, BeamSearchScorer
from tqdm import tqdm

from ...data import BOS_ID, EOS_ID, SourceLoader, Subwords
from ...planning import Plan
from .decoder import StepDecoder


class Hypothesis(NamedTuple):
    """A translation.

    Attributes
    ----------
    text : str
        Detokenised.
    score : float
        Its length-normalised log probability, in nats.
    """

    text: str
    score: float


class Translator:
    """Translate with beam search.

    The score of a translation is its log probability divided by ``((5 + length) / 6) ** lp_alpha`` (Wu et al.
    2016, equation 14). Without it a beam prefers short translations.

    Parameters
    ----------
    chain : Chain
        From `translation_chain`, with parameters in place.
    plan : Plan
        Where the layers live.
    subwords : Subwords
        The subword model of the training run.
    beam_size : int, default 4
        Translations kept per sentence while searching; 1 is greedy search.
    lp_alpha : float, default 1.5
        Strength of the length normalisation; 0 is none.
    max_length : int, default 100
        Longest translation in subwords; a batch whose longest sentence has S subwords also stops at 2 S + 10.
    batch_size : int, default 64
        Sentences per batch.

    Raises
    ------
    ValueError
        If a size is below 1.
    """

    def __init__(self, chain: Any, plan: Plan, subwords: Subwords, beam_size: int = 4, lp_alpha: float = 1.5,
                 max_length: int = 100, batch_size: int = 64) -> None:
        for name, value in (("beam_size", beam_size), ("max_length", max_length), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self._decoder = StepDecoder(chain, plan)
        self._subwords, self._beam_size, self._batch_size = subwords, beam_size, batch_size
        self._scorer = BeamSearchScorer(alpha=lp_alpha, K=5)
        self._max_length = max_length

    def __call__(self, sentences: Sequence[str], progress: bool = False) -> List[List[Hypothesis]]:
        """Translate.

        Parameters
        ----------
        sentences : sequence of str
            Raw text.
        progress : bool, default False
            Whether to show a progress bar, on a terminal.

        Returns
        -------
        list of list of Hypothesis
            Up to ``beam_size`` for each sentence, best first, in the sentences' order; an empty sentence has one
            empty translation.
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
