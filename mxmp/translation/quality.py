"""How good translations are: BLEU as sacrebleu computes it, and the share of exact matches."""
from __future__ import annotations

from typing import NamedTuple, Sequence

from sacrebleu.metrics import BLEU


class Quality(NamedTuple):
    """BLEU (0 to 100), sacrebleu's signature, exact matches (0 to 1), hypothesis length over reference length."""

    bleu: float
    signature: str
    exact_match: float
    length_ratio: float


def measure(hypotheses: Sequence[str], references: Sequence[str]) -> Quality:
    """Score detokenised, cased translations against one reference each.

    Raises
    ------
    ValueError
        If there are no sentences or the two differ in number.
    """
    if not references or len(hypotheses) != len(references):
        raise ValueError(f"cannot score {len(hypotheses)} translations against {len(references)} references")
    metric = BLEU()
    score = metric.corpus_score(list(hypotheses), [list(references)])
    exact = sum(h == r for h, r in zip(hypotheses, references)) / len(references)
    return Quality(score.score, str(metric.get_signature()), exact, score.sys_len / max(1, score.ref_len))
