"""How far a run is: its progress, its losses and speed, and its log."""
from __future__ import annotations

import logging
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Tuple

import mxnet as mx


@dataclass
class Progress:
    """What a checkpoint remembers besides arrays.

    ``epoch`` and ``batch`` count the epochs done and the batches of the one under way, ``step`` all steps, and
    ``counted`` what speed counts, such as source and target tokens. ``seconds`` have passed since training began (the
    time between a death and a resumption is left out), of which ``training_seconds`` were spent on steps.
    ``train_loss`` holds [step, loss per token] each, in nats, ``valid`` the same of the validation data, and what else
    was scored; ``best`` is the highest criterion of all validations, whatever the task takes for one.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    counted: int = 0
    seconds: float = 0.0
    training_seconds: float = 0.0
    train_loss: List[List[float]] = field(default_factory=list)
    valid: List[List[float]] = field(default_factory=list)
    best: float = -math.inf


class Meter:
    """Loss and speed of some steps: adds up losses on their device, and waits for them only when it is read.

    ``tokens`` and ``counted`` are the sums so far of what the losses are summed over and of what speed counts.
    """

    def __init__(self) -> None:
        self.tokens = self.counted = 0
        self._loss: Any = 0.0
        self._norm: Any = None
        self._started = time.perf_counter()

    def add(self, loss: mx.nd.NDArray, norm: mx.nd.NDArray, num_tokens: int, counted: int) -> None:
        """Count one step: its summed ``loss`` and its gradients' ``norm``, (1,) each, may still be being computed; the
        loss is summed over ``num_tokens``, and speed counts ``counted``."""
        self._loss, self._norm = self._loss + loss, norm
        self.tokens += num_tokens
        self.counted += counted

    def read(self) -> Tuple[float, float, float]:
        """The loss per token, the latest step's gradient norm, and the seconds since the meter was made.

        Waits for all steps that were added, of which there must be one.
        """
        loss, norm = mx.nd.concat(self._loss, self._norm, dim=0).asnumpy()
        return float(loss) / self.tokens, float(norm), time.perf_counter() - self._started


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
