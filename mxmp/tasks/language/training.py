"""The training run of a language model: its steps with carried states, validation, and the final comparison."""
from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import gluonnlp
import mxnet as mx
import numpy
import sacrebleu
import sentencepiece

from ...nn import LabelSmoothedLoss
from ...pipeline import Pipeline, Trainer
from ...planning import LayerCost, analytic
from .. import progress as shared
from ..placing import choose_plan, split_contexts
from ..progress import perplexity
from ..results import describe_run, draw_curve, write_results
from ..run import Run
from .carried import Carried
from .corpus import Encoded
from .generator import Generator
from .measure import Perplexity, measure, measure_baselines
from .model import ModelOptions, begin_with_frequencies, check_tied, language_chain, split_loss
from .options import Options
from .stream import Segment, TrainingStream, evaluation_segments

_log = logging.getLogger(__name__)
_PACKAGES = (mx, numpy, gluonnlp, sentencepiece, sacrebleu)


@dataclass
class Progress(shared.Progress):
    """How far a run is.

    ``epoch``, ``batch``, ``step``, ``counted``, ``seconds``, ``training_seconds`` and ``train_loss`` are those of
    `mxmp.tasks.progress.Progress`; ``valid`` holds [step, loss per token], and ``best_loss`` is the lowest of
    these losses, in nats.
    """

    best_loss: float = math.inf


class Training(Run):
    """One run of training, from its options to ``results.json``.

    Parameters
    ----------
    options : Options
        The flags.
    encoded : Encoded
        The corpus as token numbers.
    contexts : list of mx.Context
        Where the layers live.
    folder : Path
        The run's folder.

    Raises
    ------
    ValueError
        If the text is too short, or tied ends would be on different contexts.
    """

    def __init__(self, options: Options, encoded: Encoded, contexts: List[mx.Context], folder: Path) -> None:
        self.options, self._encoded, self._rows = options, encoded, options.batch_size
        sizes = ModelOptions(len(encoded.vocabulary), options.embed_size, options.hidden_size,
                             options.num_layers, options.dropout, options.tied)
        self._stream = TrainingStream(encoded.train, encoded.vocabulary.end, self._rows, options.bptt,
                                      options.seed, options.line_order == "shuffled")
        stages, softmax = split_contexts(contexts, options.softmax_contexts)
        chain = language_chain(sizes, not softmax)
        loss = split_loss(sizes, softmax) if softmax else LabelSmoothedLoss(layout="NTC")
        costs = chain_costs(chain, loss, self._rows, options.bptt)
        self.plan = choose_plan(costs, stages, options.plan)
        check_tied(sizes, self.plan)
        _log.info("plan %s, %s, %d chunks x %d micro-batches:\n%s", self.plan, options.schedule, options.num_chunks,
                  options.num_microbatches, self.plan.table(costs))
        self.pipe = Pipeline(chain, self.plan, loss, options.num_microbatches, options.num_chunks, options.schedule)
        mx.random.seed(options.seed)
        self.pipe.initialize(force_reinit=True)
        biases = [shard.bias for shard in loss.shards] if softmax else [chain.layers["projection"].dense.bias]
        begin_with_frequencies(biases, encoded.train, encoded.vocabulary.end)
        self.trainer = Trainer(self.pipe, "adam", {"learning_rate": options.learning_rate, "beta2": 0.98},
                               clip_norm=options.clip_norm)
        self._generator = Generator(chain, self.plan, encoded.vocabulary, loss if softmax else None)
        self._carried = Carried(self.pipe, self._rows)
        self.progress: Progress = Progress()
        super().__init__(folder, len(self._stream), sizes, encoded.text.fingerprint)

    def _batches(self, epoch: int, start: int) -> Iterator[Segment]:
        if start == 0:
            self._carried.begin()
        return self._stream.epoch(epoch, start)

    def _train(self, batch: Segment) -> Tuple[Any, int, int]:
        loss, self._carried.states = self.pipe.forward_backward(batch.tokens, (batch.labels, batch.valid_length),
                                                                self._carried.states)
        return loss, batch.num_tokens, batch.num_tokens

    def _parts(self) -> Sequence[Any]:
        return self._encoded.vocabulary, self._carried

    def _restore(self, found: Path) -> None:
        self._carried.load(found)

    def _validate(self) -> None:
        progress = self.progress
        found = self._measured(self._encoded.valid, self._encoded.valid_words)
        loss = found.nats / found.tokens
        self._tick()
        progress.valid.append([progress.step, loss])
        _log.info("epoch %d valid: loss %.4f ppl %.2f (per word %.2f), after %.1f minutes", progress.epoch, loss,
                  perplexity(loss), found.per_word, progress.seconds / 60)
        sample, = self._generator(length=self.options.sample_length, temperature=0.8, seed=progress.epoch)
        _log.info("sample: %s", sample.replace("\n", " / "))
        if loss < progress.best_loss:
            progress.best_loss = loss
            self._save("best")

    def _measured(self, sentences: List[List[int]], words: int) -> Perplexity:
        segments = evaluation_segments(sentences, self._encoded.vocabulary.end, self._rows, 2 * self.options.bptt)
        return measure(self.pipe, segments, words)

    def _finish(self) -> Dict[str, Any]:
        self._load_best()
        encoded = self._encoded
        valid = self._measured(encoded.valid, encoded.valid_words)
        found = {"model": self._measured(encoded.test, encoded.test_words), **measure_baselines(encoded)}
        self._tick()
        results = {
            "dataset": encoded.text.name, "units": self.options.units, "vocab_size": len(encoded.vocabulary),
            "valid": valid.as_dict(), "test": {name: value.as_dict() for name, value in found.items()},
            **describe_run(self.options, self.plan, self.progress, _PACKAGES)}
        write_results(self._folder, results)
        draw_curve(self.progress, self._folder / "loss.png")
        for name, value in found.items():
            _log.info("test, %-8s perplexity %.2f per token, %.2f per word", name + ":", value.per_token,
                      value.per_word)
        return results


def chain_costs(chain: Any, loss: Any, batch_size: int = 64, bptt: int = 16) -> List[LayerCost]:
    """The computed cost of each layer of the language ``chain`` for ``batch_size`` rows of ``bptt`` steps.

    With the last layer's counts what a ``loss`` that has the projection does on one context.
    """
    return analytic(chain, mx.nd.zeros((batch_size, bptt), dtype="int32"), loss=loss)
