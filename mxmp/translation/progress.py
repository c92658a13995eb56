"""How far a translation run is."""
from __future__ import annotations

from dataclasses import dataclass

from ..training import progress


@dataclass
class Progress(progress.Progress):
    """How far a run is.

    Parameters
    ----------
    epoch, batch, step, words : int
        As of `mxmp.training.progress.Progress`; words are subwords of both sides.
    seconds, training_seconds : float
        Likewise.
    train_loss, valid : list of list
        [step, loss per token] each, in nats; in the latter, [step, loss per token, BLEU].
    best_bleu : float
        The highest validation BLEU so far, 0 to 100; -1 before there is one.
    """

    best_bleu: float = -1.0
