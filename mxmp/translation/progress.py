"""How far a translation run is."""
from __future__ import annotations

from dataclasses import dataclass

from ..training import progress


@dataclass
class Progress(progress.Progress):
    """``valid`` holds [step, loss per token, BLEU]."""

    best_bleu: float = -1.0
