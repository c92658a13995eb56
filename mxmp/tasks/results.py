"""What a finished run leaves behind: results.json and the loss curve."""
from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Sequence

from .. import __version__, runtime
from ..planning import Plan
from ..writing import write_aside
from .progress import Progress

_TRAINING, _VALIDATION, _SCORE = "#8fb8de", "#1f4e79", "#d1661c"  # light blue, dark blue, orange


def write_results(folder: Path, results: Dict[str, Any]) -> None:
    """Write ``results`` to ``results.json`` in a run's ``folder``, at once."""
    with write_aside(folder / "results.json") as partial:
        partial.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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


def draw_curve(progress: Progress, path: Path, right: str = "") -> None:
    """Draw the loss over the steps into the file ``path``.

    The third column of ``progress.valid`` gets an axis of its own at the right if its name is given as ``right``.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    lines = axes.plot(*zip(*progress.train_loss), color=_TRAINING, label="training loss")
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
    figure.savefig(path, dpi=130)
