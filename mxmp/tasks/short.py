"""What the short example runs share: a folder, a chain on its contexts, and the best of all epochs."""
from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any, List

import mxnet as mx

from .. import nn, runtime
from ..command import save_options, saved_options
from ..pipeline import Pipeline, Trainer
from ..planning import LayerCost
from .placing import choose_plan
from .progress import Progress, start_log
from .run import Run
from .short_options import ShortOptions

_log = logging.getLogger(__name__)


class ShortRun(Run):
    """A run of some minutes; a subclass says what batches, a step and the end are, and measures an error.

    Parameters
    ----------
    options : ShortOptions
        The flags.
    chain : Chain
        The model.
    costs : list of LayerCost
        Of its layers.
    loss : Block
        Takes outputs and labels, and gives a loss for each row.
    contexts : list of mx.Context
        Where the layers live.
    folder : Path
        The run's folder.
    steps_per_epoch : int
        Batches of an epoch.

    Attributes
    ----------
    measure : str
        What the error is called.

    Raises
    ------
    ValueError
        If the plan does not suit the layers and contexts.
    """

    measure: str
    retry = "and choose another --output_dir"

    def __init__(self, options: ShortOptions, chain: nn.Chain, costs: List[LayerCost], loss: Any,
                 contexts: List[mx.Context], folder: Path, steps_per_epoch: int) -> None:
        self.options, self.progress, self._lowest = options, Progress(), math.inf
        self.plan = choose_plan(costs, contexts, options.plan)
        _log.info("plan %s, %d micro-batches, %s:\n%s", self.plan, options.num_microbatches, options.schedule,
                  self.plan.table(costs))
        self.pipe = Pipeline(chain, self.plan, loss, options.num_microbatches, schedule=options.schedule)
        mx.random.seed(options.seed)
        self.pipe.initialize(force_reinit=True)
        self.trainer = Trainer(self.pipe, "adam", {"learning_rate": options.learning_rate}, clip_norm=1.0)
        super().__init__(folder, steps_per_epoch, options, f"generated with seed {options.seed}")

    def _error(self) -> float:
        """On validation data; the lowest is the best."""
        raise NotImplementedError

    def _explained(self, loss: float) -> str:
        return ""

    def _validate(self) -> None:
        progress, error = self.progress, self._error()
        self._tick()
        progress.valid.append([progress.step, progress.train_loss[-1][1], error])
        _log.info("epoch %d valid: %s %.4f, after %.1f minutes", progress.epoch, self.measure, error,
                  progress.seconds / 60)
        if error < self._lowest:
            self._lowest = error
            self._save("best")


def open_folder(options: ShortOptions, task: str) -> Path:
    """Make the folder of a new run, start its log, and write its options there.

    Parameters
    ----------
    options : ShortOptions
        They may name the folder.
    task : str
        What a folder without a name is called, before the time.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If it holds a run already.
    """
    folder = Path(options.output_dir or Path("runs") / f"{task}-{time.strftime('%Y%m%d-%H%M%S')}")
    if saved_options(folder, type(options)):
        raise ValueError(f"{folder} holds a run; choose another --output_dir")
    folder.mkdir(parents=True, exist_ok=True)
    start_log(folder)
    save_options(folder, options)
    _log.info("run folder %s, runtime %s", folder, runtime.report())
    return folder
