"""How good translations are: BLEU as sacrebleu computes it, and the share of exact matches."""
from __future__ import annotations

from typing import NamedTuple, Sequence

from sacrebleu.metrics import BLEU


class Quality(NamedTuple):
    """How good translations are."""

    bleu: float  # Papineni et al. 2002, 0 to 100
    signature: str  # how sacrebleu computed it
    exact_match: float  # share of translations that equal their references, 0 to 1
    length_ratio: float  # length of all translations over that of all references

    def __str__(self) -> str:
        return (f"BLEU {self.bleu:.2f}, exact match {100 * self.exact_match:.1f}%, length ratio "
                f"{self.length_ratio:.3f} [{self.signature}]")


def score(hypotheses: Sequence[str], references: Sequence[str]) -> Quality:
    """The quality of detokenised, cased translations with one reference each, in the same order."""
    if not references or len(hypotheses) != len(references):
        raise ValueError(f"cannot score {len(hypotheses)} translations against {len(references)} references")
    metric = BLEU()
    bleu = metric.corpus_score(list(hypotheses), [list(references)])
    exact = sum(h == r for h, r in zip(hypotheses, references)) / len(references)
    return Quality(bleu.score, str(metric.get_signature()), exact, bleu.sys_len / max(1, bleu.ref_len))
