"""What the short example runs share: a folder, a chain on its contexts, and the best of all epochs."""
from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import mxnet as mx
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from .. import nn, runtime
from ..command import save_options, saved_options
from ..pipeline import Pipeline, Trainer
from ..planning import LayerCost
from . import checkpoint
from .learning_rate import cosine_rate
from .placing import choose_plan
from .progress import Meter, Progress, perplexity, start_log
from .short_options import ShortOptions

_log = logging.getLogger(__name__)


class _TemplateRun:
    """The loop of a short run."""

    unit = "tokens"
    retry = "and --resume"
    options: Any
    pipe: Pipeline
    trainer: Trainer
    progress: Any

    def __init__(self, folder: Path, steps_per_epoch: int, sizes: Any, corpus: str) -> None:
        self._folder, self._steps_per_epoch, self._sizes, self._corpus = folder, steps_per_epoch, sizes, corpus
        self._total_steps = self.options.epochs * steps_per_epoch
        self._clock = time.perf_counter()

    def _batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of an epoch without the first ``start``."""
        raise NotImplementedError

    def _train(self, batch: Any) -> Tuple[mx.nd.NDArray, int, int]:
        """Forward and backward pass; returns the summed loss, unwaited for, target tokens, and words for the speed."""
        raise NotImplementedError

    def _validate(self) -> None:
        """Measure, append to ``progress.valid``, log, and save the model as "best" if it is."""
        raise NotImplementedError

    def _finish(self) -> Dict[str, Any]:
        """Measure the best checkpoint and write the results."""
        raise NotImplementedError

    def _explained(self, loss: float) -> str:
        """What a log line says of the loss besides its value."""
        return f" ppl {perplexity(loss):.2f}"

    def save(self, folder: Path) -> None:
        pass

    def run(self) -> Dict[str, Any]:
        """Train to the end."""
        with logging_redirect_tqdm([logging.getLogger("mxmp")]):
            self._clock = time.perf_counter()
            while self.progress.epoch < self.options.epochs:
                self._epoch()
                self._validate()
                self._save("latest")
            return self._finish()

    def _epoch(self) -> None:
        progress, options = self.progress, self.options
        meter = Meter()
        with tqdm(self._batches(progress.epoch, progress.batch), f"epoch {progress.epoch + 1}/{options.epochs}",
                  self._steps_per_epoch, initial=progress.batch, unit="batch", leave=False, disable=None) as bar:
            for batch in bar:
                rate = cosine_rate(progress.step, self._total_steps, options.learning_rate, options.warmup_steps)
                self._step(batch, rate, meter)
                progress.batch += 1
                progress.step += 1
                save = progress.step % options.save_interval == 0
                if save or progress.step % options.log_interval == 0:
                    self._report(meter, bar, rate)  # before a checkpoint: it must not hold a diverged model
                    meter = Meter()
                if save:
                    self._save("latest")
        if meter.tokens:
            self._report(meter, bar, rate)
        progress.epoch, progress.batch = progress.epoch + 1, 0

    def _step(self, batch: Any, rate: float, meter: Meter) -> None:
        """One update, which is not waited for."""
        timeline = None
        if self.progress.step + 1 == self.options.timeline_step:
            mx.nd.waitall()  # what earlier steps left to do is not to be drawn
            timeline = self.pipe.timeline()
        self.pipe.seed(self.options.seed * 1_000_003 + self.progress.step)
        loss, tokens, counted = self._train(batch)
        if timeline is not None:
            timeline.stop()
            timeline.save(str(self._folder / "timeline.png"))
            timeline.save_trace(str(self._folder / "timeline.json"))
        self.trainer.set_learning_rate(rate)
        meter.add(loss, self.trainer.step(tokens), tokens, counted)

    def _report(self, meter: Meter, bar: tqdm, rate: float) -> None:
        progress = self.progress
        loss, norm, seconds = meter.read()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise RuntimeError(f"the loss is {loss} and the gradients' norm {norm} at step {progress.step}; lower "
                               f"--learning_rate (now {self.options.learning_rate}) {self.retry}")
        progress.training_seconds += seconds
        progress.counted += meter.counted
        progress.train_loss.append([progress.step, loss])
        speed, also = meter.counted / seconds, self._explained(loss)
        bar.set_postfix_str(f"loss {loss:.3f}{also}, {speed:.0f} {self.unit}/s, norm {norm:.2f}, lr {rate:.1e}")
        _log.info("epoch %d step %d/%d loss %.4f%s %.0f %s/s norm %.3f lr %.2e", progress.epoch + 1, progress.step,
                  self._total_steps, loss, also, speed, self.unit, norm, rate)

    def _save(self, kind: str) -> None:
        self._tick()
        described = {"model": vars(self._sizes), "options": asdict(self.options), "corpus": self._corpus,
                     "progress": asdict(self.progress)}
        checkpoint.save(self._folder, kind, self.progress.step, self.pipe, self.trainer, described, self)

    def _load_best(self) -> None:
        """Go back to the parameters of the best checkpoint."""
        best = checkpoint.find(self._folder, "best", "latest")
        self.pipe.load_parameters(str(Path(str(best)) / "model.params"))

    def _tick(self) -> None:
        """Count the time since the last tick, whatever it was spent on."""
        now = time.perf_counter()
        self.progress.seconds, self._clock = self.progress.seconds + now - self._clock, now


class ShortRun(_TemplateRun):
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
