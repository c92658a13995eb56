"""How far a run is, and what a person sees of it: the bar, the log, the picture, results.json."""
from __future__ import annotations

import json
import logging
import math
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List


@dataclass
class Progress:
    """What a checkpoint remembers besides arrays; ``batch`` counts batches done in ``epoch``."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    words: int = 0
    seconds: float = 0.0
    best_bleu: float = -1.0
    train_loss: List[List[float]] = field(default_factory=list)  # [step, loss per token]
    valid: List[List[float]] = field(default_factory=list)  # [step, loss per token, BLEU]

    def as_dict(self) -> Dict[str, Any]:
        """A copy as plain values."""
        return asdict(self)


def perplexity(loss: float) -> float:
    """exp(loss), infinity where that is too large for a float."""
    return math.exp(loss) if loss < 700 else math.inf


def start_log(folder: Path) -> None:
    """Send the package's log to the terminal and to ``train.log`` in a run's folder."""
    logger = logging.getLogger("mxmp")
    logger.setLevel(logging.INFO)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    for handler in (logging.StreamHandler(sys.stdout), logging.FileHandler(folder / "train.log", encoding="utf-8")):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)


def write_json(path: Path, content: Dict[str, Any]) -> None:
    """Replace a JSON file at once."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def draw_curve(progress: Progress, path: Path) -> None:
    """Loss and validation BLEU over the steps, as a picture."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*progress.train_loss), color="#8fb8de", label="training loss")
    if progress.valid:
        steps, losses, bleu = zip(*progress.valid)
        axes.plot(steps, losses, color="#1f4e79", marker="o", label="validation loss")
        right = axes.twinx()
        right.plot(steps, bleu, color="#d1661c", marker="s", label="validation BLEU")
        right.set_ylabel("BLEU")
        right.set_ylim(bottom=0)
        right.legend(loc="center right")
    axes.set_xlabel("step")
    axes.set_ylabel("loss per target token (nats)")
    axes.legend(loc="upper right")
    figure.savefig(path, dpi=130)
