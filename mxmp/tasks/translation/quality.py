"""How good translations are: BLEU as sacrebleu computes it, and the share of exact matches."""
from __future__ import annotations

from typing import NamedTuple, Sequence

from sacrebleu.metrics import BLEU


class Quality(NamedTuple):
    """How good translations are.

    Attributes
    ----------
    bleu : float
        BLEU (Papineni et al. 2002), 0 to 100.
    signature : str
        How sacrebleu computed it.
    exact_match : float
        Share of translations that equal their references, 0 to 1.
    length_ratio : float
        Length of all translations over that of all references.
    """

    bleu: float
    signature: str
    exact_match: float
    length_ratio: float


def measure(hypotheses: Sequence[str], references: Sequence[str]) -> Quality:
    """Score detokenised, cased translations against one reference each.

    Parameters
    ----------
    hypotheses, references : sequence of str
        Translations, and in the same order what they should be.

    Returns
    -------
    Quality

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
