"""How good translations are: BLEU as sacrebleu computes it, the share of exact matches, and the loss."""
from __future__ import annotations

from typing import Any, Iterable, NamedTuple, Sequence

from sacrebleu.metrics import BLEU

from ...data import Batch, ParallelText
from ...pipeline import Pipeline
from ..progress import perplexity
from .translator import Translator


class Quality(NamedTuple):
    """How good translations are.

    As text it is what a run logs at its end.
    """

    bleu: float  # Papineni et al. 2002, 0 to 100
    signature: str  # how sacrebleu computed it
    exact_match: float  # share of translations that equal their references, 0 to 1
    length_ratio: float  # length of all translations over that of all references

    def __str__(self) -> str:
        return (f"BLEU {self.bleu:.2f}, exact match {100 * self.exact_match:.1f}%, length ratio "
                f"{self.length_ratio:.3f} [{self.signature}]")

    def with_loss(self, loss: float) -> str:
        """What a run logs after an epoch, when the model has this ``loss`` per token, in nats."""
        return (f"loss {loss:.4f} ppl {perplexity(loss):.2f} BLEU {self.bleu:.2f} (length ratio "
                f"{self.length_ratio:.3f}) exact match {100 * self.exact_match:.1f}%")


def score(hypotheses: Sequence[str], references: Sequence[str]) -> Quality:
    """The quality of detokenised, cased translations with one reference each, in the same order.

    BLEU is the whole corpus's, with sacrebleu's own tokens and smoothing, which its signature names.
    """
    if not references or len(hypotheses) != len(references):
        raise ValueError(f"cannot score {len(hypotheses)} translations against {len(references)} references")
    metric = BLEU()
    bleu = metric.corpus_score(list(hypotheses), [list(references)])
    exact = sum(h == r for h, r in zip(hypotheses, references)) / len(references)
    return Quality(bleu.score, str(metric.get_signature()), exact, bleu.sys_len / max(1, bleu.ref_len))


def score_text(translator: Translator, text: ParallelText) -> Quality:
    """The quality of what a ``translator`` makes of the source side of a ``text``."""
    return score([hypotheses[0].text for hypotheses in translator(text.src, progress=True)], text.tgt)


def mean_loss(pipe: Pipeline, batches: Iterable[Batch]) -> float:
    """The loss per target token of a model on a text, in nats; waits for the sum at the end.

    It is smoothed as in training, and the model reads the reference so far, not what it would have written.
    """
    total: Any = 0.0
    tokens = 0
    for batch in batches:
        total = total + pipe((batch.src, batch.src_len, batch.tgt_in), (batch.tgt_out, batch.tgt_len))
        tokens += batch.num_tokens
    return float(total.asscalar()) / tokens
