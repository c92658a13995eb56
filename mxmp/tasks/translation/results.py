"""What a finished translation run leaves behind."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import gluonnlp
import mxnet as mx
import numpy
import sacrebleu
import sentencepiece

from ...data import Corpus
from ...planning import Plan
from ..results import describe_run, draw_curve
from ..results import write_results as write
from .options import Options
from .progress import Progress
from .quality import Quality

_PACKAGES = (mx, numpy, gluonnlp, sentencepiece, sacrebleu)


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
        "valid": valid._asdict(), "test": test._asdict(), **describe_run(options, plan, progress, _PACKAGES)}
    write(folder, results)
    if progress.train_loss:
        draw_curve(progress, folder / "loss.png", "BLEU")
    return results
