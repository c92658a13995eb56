"""How far a run is, and its log."""
from __future__ import annotations

import logging
import math
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List


@dataclass
class Progress:
    """What a checkpoint remembers besides arrays.

    Parameters
    ----------
    epoch : int
        Epochs done.
    batch : int
        Batches done in the epoch under way.
    step, words : int
        Steps and words done in all; a run says what it counts as words.
    seconds : float
        Since training began; time between a death and a resumption is left out.
    training_seconds : float
        Of these, spent on steps.
    train_loss : list of list
        [step, loss per token] each, in nats.
    valid : list of list
        [step, loss per token] each, in nats, and what else was measured.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    words: int = 0
    seconds: float = 0.0
    training_seconds: float = 0.0
    train_loss: List[List[float]] = field(default_factory=list)
    valid: List[List[float]] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        """A copy as plain values."""
        return asdict(self)


def perplexity(loss: float) -> float:
    """The exponential of a ``loss`` per token in nats, infinity where that is too large for a float."""
    return math.exp(loss) if loss < 700 else math.inf


def start_log(folder: Path) -> None:
    """Send the package's log to the terminal and to ``train.log`` in a run's ``folder``."""
    logger = logging.getLogger("mxmp")
    logger.setLevel(logging.INFO)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    for handler in (logging.StreamHandler(sys.stdout), logging.FileHandler(folder / "train.log", encoding="utf-8")):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
