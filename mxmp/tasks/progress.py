"""How far a run is, how fast, its log, and what it leaves behind."""
from __future__ import annotations

import json
import logging
import math
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mxnet as mx

from .. import __version__, runtime
from ..planning import Plan
from ..writing import write_aside


@dataclass
class Progress:
    """What a checkpoint remembers besides arrays.

    ``epoch`` and ``batch`` count the epochs done and the batches of the one under way, ``step`` all steps, and
    ``counted`` what speed counts, such as source and target tokens. ``seconds`` have passed since training began (the
    time between a death and a resumption is left out), of which ``training_seconds`` were spent on steps.
    ``train_loss`` holds [step, loss per token] each, in nats, smoothed if that is what is trained on; ``valid`` the
    same of the validation data, never smoothed, and what else was scored. ``best`` is the highest criterion of all
    validations, whatever numbers the task takes for one.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    counted: int = 0
    seconds: float = 0.0
    training_seconds: float = 0.0
    train_loss: List[List[float]] = field(default_factory=list)
    valid: List[List[float]] = field(default_factory=list)
    best: List[float] = field(default_factory=list)

    def check(self, source: Any, steps_per_epoch: int, epochs: int) -> None:
        """Refuse what a ``source`` said of a run of that length if no such run can be there."""
        begun = self.epoch * steps_per_epoch + self.batch
        if not (0 <= self.epoch <= epochs and 0 <= self.batch <= steps_per_epoch and self.step == begun):
            raise ValueError(f"{source} is at epoch {self.epoch}, batch {self.batch}, step {self.step}, where no run "
                             f"of --epochs {epochs} with {steps_per_epoch} steps each can be")


class Meter:
    """Loss and speed of some steps: adds up losses on their device, and waits for them only when it is read.

    ``tokens`` and ``counted`` are the sums so far of what the losses are summed over and of what speed counts.
    """

    def __init__(self) -> None:
        self.tokens = self.counted = 0
        self._sums: Any = 0.0
        self._norm: Any = None
        self._started = time.perf_counter()

    def add(self, loss: mx.nd.NDArray, norm: mx.nd.NDArray, num_tokens: int, counted: int,
            skipped: Optional[mx.nd.NDArray] = None) -> None:
        """Count one step: its summed ``loss`` and its gradients' ``norm``, (1,) each, may still be being computed; the
        loss is summed over ``num_tokens``, and speed counts ``counted``. A step that a trainer's ``skipped`` counts
        has no part in the loss."""
        sums = mx.nd.concat(loss, mx.nd.full((1,), num_tokens, loss.context, loss.dtype), dim=0)
        if skipped is not None:
            sums = mx.nd.where(mx.nd.broadcast_to(skipped[1:], (2,)), mx.nd.zeros_like(sums), sums)
        self._sums, self._norm = self._sums + sums, norm
        self.tokens += num_tokens
        self.counted += counted

    def read(self) -> Tuple[float, float, float]:
        """The loss per token, the latest step's gradient norm, and the seconds since the meter was made.

        Waits for all steps that were added, of which there must be one; the loss is NaN if all of them were skipped.
        """
        loss, tokens, norm = map(float, mx.nd.concat(self._sums, self._norm, dim=0).asnumpy())
        return loss / tokens if tokens else math.nan, norm, time.perf_counter() - self._started


def perplexity(loss: float) -> float:
    """The exponential of a ``loss`` per token in nats, infinity where that is too large for a float."""
    return math.inf if loss >= 700 else math.exp(loss)


def loss_text(loss: float, smoothed: bool = False) -> str:
    """A ``loss`` per token, in nats, as a log has it; the exponential of one that is ``smoothed`` is no perplexity."""
    return f"smoothed loss {loss:.4f}" if smoothed else f"loss {loss:.4f} ppl {perplexity(loss):.2f}"


def start_log(folder: Path) -> None:
    """Send the package's log to the terminal and to ``train.log`` in a run's ``folder``."""
    logger = logging.getLogger("mxmp")
    logger.setLevel(logging.INFO)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    file = logging.FileHandler(folder / "train.log", encoding="utf-8")
    file.stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # for names that are not UTF-8
    for handler in (logging.StreamHandler(sys.stdout), file):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)


_TRAINING, _VALIDATION, _SCORE = "#8fb8de", "#1f4e79", "#d1661c"  # light blue, dark blue, orange


def write_results(folder: Path, results: Dict[str, Any]) -> None:
    """Write ``results`` to ``results.json`` in a run's ``folder``, at once."""
    with write_aside(folder / "results.json") as partial:
        partial.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8",
                           errors="backslashreplace")  # as JSON writes what a file's name has that is not UTF-8


def describe_run(options: Any, plan: Plan, progress: Progress, packages: Sequence[ModuleType]) -> Dict[str, Any]:
    """What every run's results say by name, as JSON can hold it.

    How long it took (``progress``), where it ran (``plan``), with which ``options``, a dataclass, and which versions of
    mxmp and other ``packages``.
    """
    return {
        "steps": progress.step,
        "epochs": progress.epoch,
        "seconds": round(progress.seconds, 1),
        "tokens_per_second": round(progress.counted / max(progress.training_seconds, 1e-9), 1),
        "plan": plan.as_dict(),
        "runtime": runtime.report(),
        "versions": {"mxmp": __version__, **{package.__name__: package.__version__ for package in packages}},
        "options": asdict(options),
    }


def draw_curve(progress: Progress, path: Path, right: str = "", smoothed: bool = False) -> None:
    """Draw the loss over the steps into the file ``path``; that of training may be ``smoothed``.

    The third column of ``progress.valid`` gets an axis of its own at the right if its name is given as ``right``.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    lines = axes.plot(*zip(*progress.train_loss), color=_TRAINING,
                       label="training loss, smoothed" if smoothed else "training loss")
    if progress.valid:
        steps, losses, *scores = zip(*progress.valid)
        lines += axes.plot(steps, losses, color=_VALIDATION, marker="o", label="validation loss")
        if right:
            other = axes.twinx()
            lines += other.plot(steps, scores[0], color=_SCORE, marker="s", label=f"validation {right}")
            other.set_ylabel(right)
            other.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel("loss per target token (nats)")
    axes.legend(handles=lines, loc="center right" if right else "upper right")
    with write_aside(path) as partial:
        figure.savefig(partial, dpi=130)
