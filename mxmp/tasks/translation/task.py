"""The translation task: its text, its plan, and what a step, a validation and the end of a run are."""
from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import mxnet as mx

from ...data import (
    MULTI30K_URL,
    Batch,
    BatchLoader,
    Corpus,
    Prepared,
    Subwords,
    default_cache_dir,
    load_files,
    load_multi30k,
    load_numbers,
)
from ...pipeline import Pipeline
from ...planning import LayerCost, Profile, profile, tune
from .. import checkpoint
from ..placing import choose_plan
from ..run import Validation, start
from .model import ModelOptions, TranslationLoss, chain_costs, translation_chain
from .options import FILES, Options
from .quality import Quality, References, mean_loss
from .translator import Translator, translating

_CUTS = (1, 2, 4, 8)  # micro-batches that --plan auto chooses from
_log = logging.getLogger(__name__)


def cache_folder(options: Options) -> Path:
    """The folder of downloads and prepared data that ``options`` ask for, `mxmp.data.default_cache_dir` by default."""
    return Path(options.cache_dir) if options.cache_dir else default_cache_dir()


def load_corpus(options: Options) -> Corpus:
    """The text that ``options`` ask for, which may be downloaded."""
    if options.dataset == "numbers":
        return load_numbers(options.src_lang, options.tgt_lang)
    if options.dataset == "multi30k":
        return load_multi30k(options.src_lang, options.tgt_lang, options.data_dir, cache_folder(options),
                             options.base_url or MULTI30K_URL)
    files: Dict[str, str] = {name: getattr(options, name) for name in FILES}
    missing = ["--" + name for name, path in files.items() if path is None]
    if missing:
        raise ValueError(f"--dataset files needs {', '.join(missing)}")
    return load_files(src_lang=options.src_lang, tgt_lang=options.tgt_lang, **files)


class Translation:
    """The task of a translation run; its ``options`` have the plan that ``--plan auto`` chose.

    The times of the layers that it was chosen by are kept in the run's ``folder``.
    """

    def __init__(self, options: Options, prepared: Prepared, contexts: List[mx.Context], folder: Path) -> None:
        subwords = prepared.subwords
        self.sizes = ModelOptions(
            len(subwords.src_vocab), len(subwords.tgt_vocab), subwords.joint, options.embed_size,
            options.hidden_size, options.encoder_layers, options.decoder_layers, options.dropout)
        self._prepared, self.fingerprint = prepared, prepared.corpus.fingerprint
        self._valid = References(prepared.corpus.valid.tgt, options.bleu_tokenize)
        self.score_name, self.smoothed = self._valid.decisive, options.label_smoothing > 0
        _log.info("%s", self._valid)
        self._chain, loss = translation_chain(self.sizes), TranslationLoss(options.label_smoothing)
        self._loader = BatchLoader(prepared.train, options.batch_size, seed=options.seed)
        self.steps_per_epoch = len(self._loader)
        _log.info("%d batches an epoch, %.1f%% of their positions are padding", len(self._loader),
                  100 * self._loader.padding_share)
        self.options, costs = self._planned(options, contexts, loss, folder)
        plan = choose_plan(costs, contexts, self.options.plan, self.options.turns, self.options.num_microbatches)
        _log.info("plan %s, %d micro-batches, %s:\n%s", plan, self.options.num_microbatches, self.options.schedule,
                  plan.table(costs))
        self.pipe = Pipeline(self._chain, plan, loss, self.options.num_microbatches, schedule=self.options.schedule,
                             recompute=self.options.recompute)
        self.trainer = start(self.pipe, self.options)

    def _planned(self, options: Options, contexts: List[mx.Context], loss: Any,
                 folder: Path) -> Tuple[Options, List[LayerCost]]:
        """Options with a plan in the place of "auto", and the layers' costs."""
        if options.plan != "auto":
            return options, chain_costs(self._chain)
        _log.info("measuring the layers to choose plan, micro-batches and schedule")
        batch = next(iter(self._loader.epoch(0)))
        times = profile(self._chain, contexts, batch.src, batch.src_len, batch.tgt_in, loss=loss,
                        labels=(batch.tgt_out, batch.tgt_len), cuts=[(m, 1) for m in _CUTS if m <= len(batch.src)])
        times.save(str(folder / "profile.json"))
        options = _tuned(options, times, contexts)
        return options, times.costs(options.num_microbatches, 1, contexts[0].device_type)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        return self._loader.epoch(epoch, start)

    def step(self, batch: Batch) -> Tuple[mx.nd.NDArray, int, int]:
        loss = self.pipe.forward_backward((batch.src, batch.src_len, batch.tgt_in), (batch.tgt_out, batch.tgt_len))
        return loss, batch.num_tokens, batch.num_words

    def validate(self, epoch: int) -> Validation:
        options = self.options
        batches = BatchLoader(self._prepared.valid, options.batch_size, shuffle=False,  # no larger than in training
                              max_positions=options.batch_size * (options.max_length + 1)).epoch(0)
        loss, quality = mean_loss(self.pipe, batches), self._score(self._prepared.corpus.valid.src, self._valid)
        score = self._valid.criterion(quality)
        return Validation([loss, score], [score, -loss], quality.with_loss(loss))

    def finish(self) -> Tuple[Dict[str, Any], List[str]]:
        corpus = self._prepared.corpus
        valid = self._score(corpus.valid.src, self._valid)
        test = self._score(corpus.test.src, References(corpus.test.tgt, self._valid.tokenizer))
        return ({"dataset": corpus.name, "src_lang": corpus.src_lang, "tgt_lang": corpus.tgt_lang,
                 "best_by": self.score_name, "valid": valid._asdict(), "test": test._asdict()},
                [f"valid: {valid}", f"test: {test}"])

    def save(self, folder: Path) -> None:
        self._prepared.subwords.save(folder)

    def restore(self, folder: Path) -> None:
        checkpoint.check_vocabulary(folder, Subwords.load(folder).pieces, self._prepared.subwords.pieces)

    def _score(self, sentences: List[str], references: References) -> Quality:
        translate = Translator(self._chain, self.pipe.plan, self._prepared.subwords, self.options.max_length,
                               self.options.beam_size, self.options.lp_alpha, self.options.batch_size)
        with translating(len(sentences)) as bar:
            return references.score([hypotheses[0].text for hypotheses in translate(sentences, bar)])


def _tuned(options: Options, times: Profile, contexts: List[mx.Context]) -> Options:
    """The options with the plan, micro-batches and schedule that are the fastest in a simulation of those ``times``."""
    kind = contexts[0].device_type
    best = tune(lambda m, c: times.costs(m, c, kind), contexts, [m for m, _ in times.layers[kind]],
                schedules=("1f1b", "fill_drain", "interleaved"), transfer=times.link(contexts),
                stages_per_context=(options.stages_per_context,))[0]
    return replace(options, plan=str(best.plan), num_microbatches=best.num_microbatches, schedule=best.schedule)
