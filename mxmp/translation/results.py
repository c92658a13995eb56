"""What a finished run leaves behind: results.json and the loss curve."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict

import mxnet as mx

from .. import __version__, runtime
from ..data import Corpus
from ..partition import Plan
from .options import Options
from .progress import Progress
from .quality import Quality


def write_results(folder: Path, options: Options, corpus: Corpus, plan: Plan, progress: Progress, valid: Quality,
                  test: Quality) -> Dict[str, Any]:
    """Write ``results.json``, at once, and ``loss.png``.

    Parameters
    ----------
    folder : Path
        The run's.
    options : Options
        The run's.
    corpus : Corpus
        What it was trained on.
    plan : Plan
        Where its layers lived.
    progress : Progress
        How it went.
    valid, test : Quality
        Of its best checkpoint.

    Returns
    -------
    dict
        The content of ``results.json``.
    """
    results = {
        "dataset": corpus.name, "src_lang": corpus.src_lang, "tgt_lang": corpus.tgt_lang,
        "valid": valid._asdict(), "test": test._asdict(), "steps": progress.step, "epochs": progress.epoch,
        "seconds": round(progress.seconds, 1),
        "tokens_per_second": round(progress.words / max(progress.training_seconds, 1e-9), 1),
        "plan": {"layers": list(plan.counts), "contexts": [str(context) for context in plan.contexts]},
        "runtime": runtime.report(), "versions": _versions(), "options": options.as_dict()}
    partial = folder / "results.json.partial"
    partial.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, folder / "results.json")
    if progress.train_loss:
        draw_curve(progress, folder / "loss.png")
    return results


def draw_curve(progress: Progress, path: Path) -> None:
    """Draw loss and validation BLEU over the steps of ``progress`` to ``path``."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    lines = axes.plot(*zip(*progress.train_loss), color="#8fb8de", label="training loss")
    if progress.valid:
        steps, losses, bleu = zip(*progress.valid)
        lines += axes.plot(steps, losses, color="#1f4e79", marker="o", label="validation loss")
        right = axes.twinx()
        lines += right.plot(steps, bleu, color="#d1661c", marker="s", label="validation BLEU")
        right.set_ylabel("BLEU")
        right.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel("loss per target token (nats)")
    axes.legend(handles=lines, loc="center right")
    figure.savefig(path, dpi=130)


def _versions() -> Dict[str, str]:
    import gluonnlp
    import numpy
    import sacrebleu
    import sentencepiece
    return {"mxmp": __version__, "mxnet": mx.__version__, "numpy": numpy.__version__,
            "gluonnlp": gluonnlp.__version__, "sentencepiece": sentencepiece.__version__,
            "sacrebleu": sacrebleu.__version__}
