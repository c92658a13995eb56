"""The training run of a translation model: its steps, validation, and the final score."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import mxnet as mx

from ...data import Batch, BatchLoader, Prepared
from ...nn import LabelSmoothedLoss
from ...pipeline import Pipeline, Trainer
from ...planning import LayerCost, Plan
from ..placing import choose_plan
from ..progress import perplexity
from ..run import Run
from .assemble import chain_costs, measure_layers, tuned
from .model import ModelOptions, translation_chain
from .options import Options
from .progress import Progress
from .quality import Quality, measure
from .results import write_results
from .translator import Translator

_log = logging.getLogger(__name__)


class Training(Run):
    """One run of training, from its options to ``results.json``.

    Parameters
    ----------
    options : Options
        The flags.
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
            len(subwords.src_vocab), len(subwords.tgt_vocab), subwords.joint, options.embed_size,
            options.hidden_size, options.encoder_layers, options.decoder_layers, options.dropout)
        self._chain, loss = translation_chain(self._sizes), LabelSmoothedLoss(options.label_smoothing)
        self._loader = BatchLoader(prepared.train, options.batch_size, seed=options.seed)
        _log.info("%d batches an epoch, %.1f%% of their positions are padding", len(self._loader),
                  100 * self._loader.padding_share)
        self.options, costs = self._planned(options, contexts, loss)
        options = self.options
        self.plan: Plan = choose_plan(costs, contexts, options.plan)
        _log.info("plan %s, %d micro-batches, %s:\n%s", self.plan, options.num_microbatches, options.schedule,
                  self.plan.table(costs))
        self.pipe = Pipeline(self._chain, self.plan, loss, options.num_microbatches, schedule=options.schedule)
        mx.random.seed(options.seed)
        self.pipe.initialize(force_reinit=True)
        self.trainer = Trainer(self.pipe, "adam", {"learning_rate": options.learning_rate, "beta2": 0.98},
                               clip_norm=options.clip_norm)
        self.progress = Progress()
        super().__init__(folder, len(self._loader), self._sizes, prepared.corpus.fingerprint)

    def _planned(self, options: Options, contexts: List[mx.Context], loss: Any) -> Tuple[Options, List[LayerCost]]:
        """Options with a plan in the place of "auto", and the layers' costs."""
        if options.plan != "auto":
            return options, chain_costs(self._chain)
        _log.info("measuring the layers to choose plan, micro-batches and schedule")
        measured = measure_layers(self._chain, loss, contexts, next(iter(self._loader.epoch(0))))
        measured.save(str(self._folder / "profile.json"))
        options = tuned(options, measured, contexts)
        return options, measured.costs(options.num_microbatches, 1, contexts[0].device_type)

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        return self._loader.epoch(epoch, start)

    def _train(self, batch: Batch) -> Tuple[Any, int, int]:
        loss = self.pipe.forward_backward((batch.src, batch.src_len, batch.tgt_in), (batch.tgt_out, batch.tgt_len))
        return loss, batch.num_tokens, batch.num_words

    def _parts(self) -> Sequence[Any]:
        return (self._prepared.subwords,)

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

    def _finish(self) -> Dict[str, Any]:
        self._load_best()
        corpus = self._prepared.corpus
        valid, test = (self._translate(text.src, text.tgt) for text in (corpus.valid, corpus.test))
        self._tick()
        results = write_results(self._folder, self.options, corpus, self.plan, self.progress, valid, test)
        for name, quality in (("valid", valid), ("test", test)):
            _log.info("%s: BLEU %.2f, exact match %.1f%%, length ratio %.3f [%s]", name, quality.bleu,
                      100 * quality.exact_match, quality.length_ratio, quality.signature)
        return results
