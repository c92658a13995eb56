"""How far a translation run is."""
from __future__ import annotations

from dataclasses import dataclass

from .. import progress


@dataclass
class Progress(progress.Progress):
    """How far a run is.

    ``epoch``, ``batch``, ``step``, ``counted``, ``seconds``, ``training_seconds`` and ``train_loss`` are those of
    `mxmp.tasks.progress.Progress`; ``counted`` counts the subwords of both sides, ``valid`` holds
    [step, loss per token, BLEU], and ``best_bleu`` is the highest of the latter, -1 before there is one.
    """

    best_bleu: float = -1.0
