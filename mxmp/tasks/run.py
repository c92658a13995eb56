"""The loop that every training run goes through: steps, logs, checkpoints."""
from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, Sequence, Tuple

import mxnet as mx
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ..pipeline import Pipeline, Trainer
from . import checkpoint
from .learning_rate import cosine_rate
from .progress import Meter, perplexity

_log = logging.getLogger(__name__)


class Run:
    """One run of training, from its first step, or a checkpoint's, to ``results.json``.

    A subclass sets the attributes below and says what a step, a validation and the end are: ``_batches``, ``_train``,
    ``_validate``, ``_finish`` and, where a checkpoint holds more than the model's arrays, ``_parts`` and ``_restore``.

    Parameters
    ----------
    folder : Path
        The run's folder.
    steps_per_epoch : int
        Batches of an epoch.
    sizes : dataclass
        What the model is built from; a checkpoint holds it.
    corpus : str
        Fingerprint of the data, which must be the same when a run is resumed.

    Attributes
    ----------
    options : dataclass
        With ``epochs``, ``learning_rate``, ``warmup_steps``, ``seed``, ``log_interval``, ``save_interval`` and
        ``timeline_step``.
    pipe, trainer : Pipeline, Trainer
        What is trained.
    progress : Progress
        How far it is.
    unit : str
        What speed counts.
    retry : str
        What to do besides lowering the rate when training diverged.
    """

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

    def _parts(self) -> Sequence[Any]:
        """What a checkpoint holds besides parameters and optimizer states; each has ``save(folder)``."""
        return ()

    def _restore(self, found: Path) -> None:
        """Take from a checkpoint what `_parts` wrote and a resumed run needs."""

    def resume(self) -> None:
        """Go on from the run's latest checkpoint, or from the beginning if it has none yet.

        Raises
        ------
        ValueError
            If the text differs from the run's.
        """
        found = checkpoint.find(self._folder, "latest")
        if found is None:
            _log.info("no checkpoint in %s yet; starting from the beginning", self._folder)
            return
        saved = checkpoint.read(found)
        if saved["corpus"] != self._corpus:
            raise ValueError(f"the text is not the one that {self._folder} was trained on; resume with the run's own")
        self.pipe.load_parameters(str(found / "model.params"))
        self.trainer.load_states(str(found / "optimizer.params"))
        self.progress = type(self.progress)(**saved["progress"])
        self._restore(found)
        _log.info("resumed %s at step %d", found, self.progress.step)

    def run(self) -> Dict[str, Any]:
        """Train to the end, measure the best checkpoint on the test data, and write ``results.json``.

        Returns
        -------
        dict
            The content of ``results.json``.

        Raises
        ------
        RuntimeError
            If the loss or the gradients' norm is no longer finite; says at which step and what to do.
        """
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
        checkpoint.save(self._folder, kind, self.progress.step, self.pipe, self.trainer, described, *self._parts())

    def _load_best(self) -> None:
        """Go back to the parameters of the best checkpoint."""
        best = checkpoint.find(self._folder, "best", "latest")
        self.pipe.load_parameters(str(Path(str(best)) / "model.params"))

    def _tick(self) -> None:
        """Count the time since the last tick, whatever it was spent on."""
        now = time.perf_counter()
        self.progress.seconds, self._clock = self.progress.seconds + now - self._clock, now
