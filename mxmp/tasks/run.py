"""The loop that every training run goes through, whatever its task: steps, logs, checkpoints, results."""
from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Protocol, Sequence, Tuple

import gluonnlp
import mxnet as mx
import numpy
import sacrebleu
import sentencepiece
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from .. import records
from ..command import save_options
from ..pipeline import Pipeline, Trainer
from ..pipeline.parameters import nonfinite_parameters
from ..signals import Signals
from . import checkpoint
from .health import Health, watched
from .options import RunOptions
from .progress import Meter, Progress, describe_run, draw_curve, loss_text, write_results

_BETA2 = 0.98  # Vaswani et al. 2017; second moments over some 50 steps, a warm-up's length, not over 0.999's 1,000
_PACKAGES = (mx, numpy, gluonnlp, sentencepiece, sacrebleu)
_log = logging.getLogger(__name__)


class Validation(NamedTuple):
    """What a validation says."""

    values: Sequence[float]  # the loss per token in nats, and what else was scored
    criterion: Sequence[float]  # the model with the highest is the best; the second number decides between equal firsts
    text: str  # for the log
    remarks: Sequence[str] = ()  # lines of the log below it


class Task(Protocol):
    """What is trained: a run asks it for batches, steps, and what they are worth."""

    sizes: Any  # a dataclass that the model is built from; a checkpoint holds it
    fingerprint: str  # of the data, which must be the same when a run is resumed
    steps_per_epoch: int
    score_name: str  # of a validation's second value, if that is to be drawn
    smoothed: bool  # whether the loss of a step is label-smoothed, unlike a validation's

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of an epoch, from 0, without the first ``start``."""

    def step(self, batch: Any) -> Tuple[mx.nd.NDArray, int, int]:
        """Run forward and backward; returns the summed loss, unwaited for, the number of tokens that it is summed
        over, and what speed counts."""

    def validate(self, epoch: int) -> Validation:
        """Score the model as it is after ``epoch`` epochs."""

    def finish(self) -> Tuple[Dict[str, Any], List[str]]:
        """Score the best model; returns results by name, and lines for the log."""

    def save(self, folder: Path) -> None:
        """Write what a checkpoint holds besides parameters and optimizer states."""

    def restore(self, folder: Path) -> None:
        """Take from a checkpoint what `save` wrote and a resumed run needs."""


class Run:
    """One run of a task, from its first step, or a checkpoint's, to ``results.json``.

    What is trained is ``pipe``, by ``trainer``; ``progress`` tells how far it is.
    """

    def __init__(self, task: Task, options: RunOptions, pipe: Pipeline, trainer: Trainer, folder: Path) -> None:
        self._task, self._options, self._pipe, self._trainer, self._folder = task, options, pipe, trainer, folder
        self._total_steps = options.epochs * task.steps_per_epoch
        # asked for 1, 2, 3 and so on: the cosine reaches 0 one step behind the last
        self._rates = mx.lr_scheduler.CosineScheduler(self._total_steps + 1, options.learning_rate,
                                                      warmup_steps=min(options.warmup_steps, self._total_steps // 2))
        self._clock = time.perf_counter()
        self._health = Health(pipe, trainer, options)
        self.progress = Progress()

    def train(self) -> Dict[str, Any]:
        """Train to the end, score the best checkpoint on the test data, and return what ``results.json`` then holds.

        With ``--resume`` the run goes on from its latest checkpoint. A RuntimeError says where loss and gradients, or
        the model, are no longer finite, and what to do. Ctrl-C, SIGTERM and SIGHUP end the run after the step under
        way, in a checkpoint of its own.
        """
        if self._options.resume:
            self._resume()
        for change in save_options(self._folder, self._options):
            _log.info("options: %s", change)
        with logging_redirect_tqdm([logging.getLogger("mxmp")]), \
                watched(self._pipe, self._options.stall_timeout, self._folder):
            self._clock = time.perf_counter()
            with Signals(held=True) as signals:
                while self.progress.epoch < self._options.epochs:
                    self._epoch(signals)
                    self._validate(signals)
                    self._save("latest")
                    signals.check()
            return self._finish()

    def _resume(self) -> None:
        with checkpoint.newest(self._folder, "latest", "best") as latest:
            if latest is None:
                _log.info("no checkpoint in %s yet; starting from the beginning", self._folder)
                return
            saved = checkpoint.read(latest)
            if saved.fingerprint != self._task.fingerprint:
                raise ValueError(f"the text is not the one that {self._folder} was trained on; resume with the run's "
                                 "own")
            if saved.model != asdict(self._task.sizes):
                raise ValueError(f"{latest} is another run's: its model has the sizes {saved.model}, not "
                                 f"{asdict(self._task.sizes)}; move it elsewhere")
            progress = records.fill(Progress, saved.progress, f"the progress of {latest / checkpoint.FILE}")
            progress.check(latest, self._task.steps_per_epoch, self._options.epochs)
            with checkpoint.reading(latest):
                self._pipe.load_parameters(str(latest / "model.params"))
                self._trainer.load_states(str(latest / "optimizer.params"))
                self._task.restore(latest)
            checkpoint.check_finite(latest, self._trainer.nonfinite_values())
        self.progress = progress
        _log.info("resumed %s at step %d", latest, self.progress.step)

    def _epoch(self, signals: Signals) -> None:
        progress, options = self.progress, self._options
        meter = Meter()
        with tqdm(self._task.batches(progress.epoch, progress.batch), f"epoch {progress.epoch + 1}/{options.epochs}",
                  self._task.steps_per_epoch, initial=progress.batch, unit="batch", leave=False, disable=None) as bar:
            for batch in bar:
                rate = self._rates(progress.step + 1)
                self._step(batch, rate, meter)
                progress.batch += 1
                progress.step += 1
                stop = signals.number is not None
                save = stop or progress.step % options.save_interval == 0
                if save or progress.step % options.log_interval == 0:
                    self._report(meter, bar, rate)  # before a checkpoint: it must not hold a diverged model
                    meter = Meter()
                if save:
                    self._save("latest")
                if stop:
                    signals.check()
        if meter.tokens:
            self._report(meter, bar, rate)
        progress.epoch, progress.batch = progress.epoch + 1, 0

    def _step(self, batch: Any, rate: float, meter: Meter) -> None:
        """One update, which is not waited for."""
        timeline = None
        if self.progress.step + 1 == self._options.timeline_step:
            mx.nd.waitall()  # what earlier steps left to do is not to be drawn
            timeline = self._pipe.timeline()
        self._pipe.seed(self._options.seed, self.progress.step)
        loss, tokens, counted = self._task.step(batch)
        if timeline is not None:
            timeline.stop()
            timeline.save(str(self._folder / "timeline.png"))
            timeline.save_trace(str(self._folder / "timeline.json"))
        self._trainer.set_learning_rate(rate)
        norm = self._trainer.step(tokens, loss=loss)
        meter.add(loss, norm, tokens, counted, self._trainer.skipped)
        interval, number = self._options.fingerprint, self.progress.step + 1
        if interval and number % interval == 0:
            self._health.fingerprint(number, loss, norm)

    def _report(self, meter: Meter, bar: tqdm, rate: float) -> None:
        progress = self.progress
        loss, norm, seconds = meter.read()
        self._health.look(progress.step, loss)
        progress.training_seconds += seconds
        progress.counted += meter.counted
        if math.isfinite(loss):
            progress.train_loss.append([progress.step, loss])
        speed, text = meter.counted / seconds, loss_text(loss, self._task.smoothed)
        bar.set_postfix_str(f"{text}, {speed:.0f} tokens/s, norm {norm:.2f}, lr {rate:.1e}")
        _log.info("epoch %d step %d/%d %s %.0f tokens/s norm %.3f lr %.2e", progress.epoch + 1, progress.step,
                  self._total_steps, text, speed, norm, rate)

    def _validate(self, signals: Signals) -> None:
        progress = self.progress
        self._pipe.flush()
        try:
            with signals.released():
                validation = self._task.validate(progress.epoch)
        except KeyboardInterrupt:  # the resumed run begins behind the epoch's last batch, and validates
            progress.epoch, progress.batch = progress.epoch - 1, self._task.steps_per_epoch
            self._save("latest")
            raise
        self._tick()
        progress.valid.append([progress.step, *validation.values])
        _log.info("epoch %d valid: %s, after %.1f minutes", progress.epoch, validation.text, progress.seconds / 60)
        for remark in validation.remarks:
            _log.info(remark)
        criterion = list(validation.criterion)
        if all(map(math.isfinite, criterion)) and criterion >= progress.best:  # of equal ones the later
            progress.best = criterion
            self._save("best")

    def _finish(self) -> Dict[str, Any]:
        with checkpoint.best(self._folder) as best:
            self._pipe.load_parameters(str(best / "model.params"))
            checkpoint.check_finite(best, nonfinite_parameters(self._pipe.parameter_names))
        scores, lines = self._task.finish()
        self._tick()
        results = {**scores, **describe_run(self._options, self._pipe.plan, self.progress, _PACKAGES)}
        write_results(self._folder, results)
        draw_curve(self.progress, self._folder / "loss.png", self._task.score_name, self._task.smoothed)
        for line in lines:
            _log.info(line)
        return results

    def _save(self, kind: str) -> None:
        self._pipe.flush()
        self._health.check_values(self.progress.step)
        self._tick()
        described = checkpoint.Description(asdict(self._task.sizes), asdict(self._options), self._task.fingerprint,
                                           asdict(self.progress))
        checkpoint.save(self._folder, kind, self.progress.step, self._pipe, self._trainer, described, self._task)

    def _tick(self) -> None:
        """Count the time since the last tick, whatever it was spent on."""
        now = time.perf_counter()
        self.progress.seconds, self._clock = self.progress.seconds + now - self._clock, now


def start(pipe: Pipeline, options: RunOptions) -> Trainer:
    """Draw a pipeline's initial values, which the seed fixes, and make its optimizer."""
    mx.random.seed(options.seed)
    pipe.initialize(force_reinit=True)
    return Trainer(pipe, "adam", {"learning_rate": options.learning_rate, "beta2": _BETA2},
                   clip_norm=options.clip_norm, skip_nonfinite=True)
