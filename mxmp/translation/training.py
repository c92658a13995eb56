"""The training run: steps, logs, validation, checkpoints, and the final score."""
from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import mxnet as mx
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ..data import Batch, BatchLoader, Prepared, fingerprint
from ..nn import LabelSmoothedLoss
from ..partition import LayerCost, Plan
from ..pipeline import Pipeline, Trainer
from . import checkpoint
from .assemble import chain_costs, make_plan, measure_layers, tuned
from .learning_rate import cosine_rate
from .meter import Meter
from .model import ModelOptions, translation_chain
from .options import Options
from .progress import Progress, perplexity
from .quality import Quality, measure
from .results import write_results
from .translator import Translator

_log = logging.getLogger(__name__)


class Training:
    """One run of training, from its options to ``results.json``.

    Parameters
    ----------
    options : Options
        Filled options.
    prepared : Prepared
        The encoded corpus.
    contexts : list of mx.Context
        Where the layers live.
    folder : Path
        The run's folder.

    Attributes
    ----------
    options : Options
        As given, with what ``--plan auto`` chose.
    plan : Plan
        Where the layers live.
    pipe : Pipeline
        The model.
    trainer : Trainer
        Its optimizer.
    progress : Progress
        How far the run is.
    """

    def __init__(self, options: Options, prepared: Prepared, contexts: List[mx.Context], folder: Path) -> None:
        self._prepared, self._folder = prepared, folder
        subwords = prepared.subwords
        self._sizes = ModelOptions(
            len(subwords.src_vocab), len(subwords.tgt_vocab), subwords.joint, options.embed_size or 0,
            options.hidden_size or 0, options.encoder_layers, options.decoder_layers, options.dropout or 0.0)
        self._chain, loss = translation_chain(self._sizes), LabelSmoothedLoss(options.label_smoothing)
        self._loader = BatchLoader(prepared.train, options.batch_size, seed=options.seed)
        _log.info("%d batches an epoch, %.1f%% of their positions are padding", len(self._loader),
                  100 * self._loader.padding_share)
        self.options, costs = self._planned(options, contexts, loss)
        options = self.options
        self.plan: Plan = make_plan(costs, contexts, options.plan)
        _log.info("plan %s, %d micro-batches, %s:\n%s", self.plan, options.num_microbatches, options.schedule,
                  self.plan.table(costs))
        self.pipe = Pipeline(self._chain, self.plan, loss, options.num_microbatches, schedule=options.schedule)
        mx.random.seed(options.seed)
        self.pipe.initialize(force_reinit=True)
        self.trainer = Trainer(self.pipe, "adam", {"learning_rate": options.learning_rate, "beta2": 0.98},
                               clip_norm=options.clip_norm)
        self._total_steps = (options.epochs or 0) * len(self._loader)
        self.progress = Progress()
        self._clock = time.perf_counter()

    def _planned(self, options: Options, contexts: List[mx.Context], loss: Any) -> Tuple[Options, List[LayerCost]]:
        """Options with a plan in the place of "auto", and the layers' costs."""
        if options.plan != "auto":
            return options, chain_costs(self._chain)
        _log.info("measuring the layers to choose plan, micro-batches and schedule")
        measured = measure_layers(self._chain, loss, contexts, next(iter(self._loader.epoch(0))))
        measured.save(str(self._folder / "profile.json"))
        options = tuned(options, measured, contexts)
        return options, measured.costs(options.num_microbatches, 1, contexts[0].device_type)

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
        if saved["corpus"] != fingerprint(self._prepared.corpus):
            raise ValueError(f"the text is not the one that {self._folder} was trained on; resume with the run's own")
        self.pipe.load_parameters(str(found / "model.params"))
        self.trainer.load_states(str(found / "optimizer.params"))
        self.progress = Progress(**saved["progress"])
        _log.info("resumed %s at step %d", found, self.progress.step)

    def run(self) -> Dict[str, Any]:
        """Train to the end, score the best checkpoint on the test text, and write ``results.json``.

        Returns
        -------
        dict
            The content of ``results.json``.

        Raises
        ------
        RuntimeError
            If the loss or the gradients' norm is not finite.
        """
        with logging_redirect_tqdm([logging.getLogger("mxmp")]):
            self._clock = time.perf_counter()
            while self.progress.epoch < (self.options.epochs or 0):
                self._epoch()
                self._validate()
                self._save("latest")
            return self._finish()

    def _epoch(self) -> None:
        progress, options = self.progress, self.options
        meter = Meter()
        batches = self._loader.epoch(progress.epoch, progress.batch)
        with tqdm(batches, f"epoch {progress.epoch + 1}/{options.epochs}", len(self._loader),
                  initial=progress.batch, unit="batch", leave=False, disable=None) as bar:
            for batch in bar:
                rate = cosine_rate(progress.step, self._total_steps, options.learning_rate or 0.0,
                                   options.warmup_steps)
                meter.add(*self._step(batch, rate), batch)
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

    def _step(self, batch: Batch, rate: float) -> Tuple[Any, Any]:
        """One update; returns loss and gradient norm, neither waited for."""
        timeline = None
        if self.progress.step + 1 == self.options.timeline_step:
            mx.nd.waitall()  # what earlier steps left to do is not to be drawn
            timeline = self.pipe.timeline()
        self.pipe.seed(self.options.seed * 1_000_003 + self.progress.step)
        loss = self.pipe.forward_backward((batch.src, batch.src_len, batch.tgt_in), (batch.tgt_out, batch.tgt_len))
        if timeline is not None:
            timeline.stop()
            timeline.save(str(self._folder / "timeline.png"))
            timeline.save_trace(str(self._folder / "timeline.json"))
        self.trainer.set_learning_rate(rate)
        return loss, self.trainer.step(batch.num_tokens)

    def _report(self, meter: Meter, bar: tqdm, rate: float) -> None:
        progress = self.progress
        loss, norm, seconds = meter.read()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise RuntimeError(f"the loss is {loss} and the gradients' norm {norm} at step {progress.step}; lower "
                               f"--learning_rate (now {self.options.learning_rate}) and --resume")
        progress.training_seconds += seconds
        progress.words += meter.words
        progress.train_loss.append([progress.step, loss])
        speed = meter.words / seconds
        bar.set_postfix_str(f"loss {loss:.3f}, ppl {perplexity(loss):.1f}, {speed:.0f} tokens/s, norm {norm:.2f}, "
                            f"lr {rate:.1e}")
        _log.info("epoch %d step %d/%d loss %.4f ppl %.2f %.0f tokens/s norm %.3f lr %.2e", progress.epoch + 1,
                  progress.step, self._total_steps, loss, perplexity(loss), speed, norm, rate)

    def _validate(self) -> None:
        progress = self.progress
        loss = self._valid_loss()
        quality = self._translate(self._prepared.corpus.valid.src, self._prepared.corpus.valid.tgt)
        self._tick()
        progress.valid.append([progress.step, loss, quality.bleu])
        _log.info("epoch %d valid: loss %.4f ppl %.2f BLEU %.2f (length ratio %.3f) exact match %.1f%%, after %.1f "
                  "minutes", progress.epoch, loss, perplexity(loss), quality.bleu, quality.length_ratio,
                  100 * quality.exact_match, progress.seconds / 60)
        if quality.bleu > progress.best_bleu:
            progress.best_bleu = quality.bleu
            self._save("best")

    def _valid_loss(self) -> float:
        total, tokens = 0.0, 0
        for batch in BatchLoader(self._prepared.valid, self.options.batch_size, shuffle=False).epoch(0):
            total = total + self.pipe((batch.src, batch.src_len, batch.tgt_in), (batch.tgt_out, batch.tgt_len))
            tokens += batch.num_tokens
        return float(total.asscalar()) / tokens  # type: ignore[attr-defined]

    def _translate(self, source: List[str], reference: List[str]) -> Quality:
        translator = Translator(self._chain, self.plan, self._prepared.subwords, self.options.beam_size,
                                self.options.lp_alpha)
        return measure([best[0].text for best in translator(source, progress=True)], reference)

    def _save(self, kind: str) -> None:
        self._tick()
        described = {"model": vars(self._sizes), "options": self.options.as_dict(),
                     "corpus": fingerprint(self._prepared.corpus), "progress": self.progress.as_dict()}
        checkpoint.save(self._folder, kind, self.progress.step, self.pipe, self.trainer, self._prepared.subwords,
                        described)

    def _tick(self) -> None:
        """Count the time since the last tick, whatever it was spent on."""
        now = time.perf_counter()
        self.progress.seconds, self._clock = self.progress.seconds + now - self._clock, now

    def _finish(self) -> Dict[str, Any]:
        best = checkpoint.find(self._folder, "best", "latest")
        self.pipe.load_parameters(str(Path(str(best)) / "model.params"))
        corpus = self._prepared.corpus
        valid, test = (self._translate(text.src, text.tgt) for text in (corpus.valid, corpus.test))
        self._tick()
        results = write_results(self._folder, self.options, corpus, self.plan, self.progress, valid, test)
        for name, quality in (("valid", valid), ("test", test)):
            _log.info("%s: BLEU %.2f, exact match %.1f%%, length ratio %.3f [%s]", name, quality.bleu,
                      100 * quality.exact_match, quality.length_ratio, quality.signature)
        return results
