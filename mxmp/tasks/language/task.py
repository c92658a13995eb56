"""The language task: its text, and what a step with carried states, a validation and the end of a run are."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import mxnet as mx

from ...data import Text, load_multi30k, load_numbers, load_tatoeba, load_text, read_lines, split_lines
from ...nn import LabelSmoothedLoss
from ...pipeline import Pipeline
from ...pipeline.states import States
from ...writing import write_arrays
from .. import checkpoint
from ..placing import choose_plan, split_contexts
from ..progress import loss_text
from ..run import Validation, start
from .generator import Generator
from .model import ModelOptions, begin_with_frequencies, chain_costs, check_tied, language_chain, split_loss
from .options import Options
from .quality import Perplexity, score, score_baselines
from .stream import Segment, TrainingStream, evaluation_segments
from .vocabulary import Encoded, load_vocabulary

_STATES = "states.params"
_log = logging.getLogger(__name__)


def load_corpus(options: Options) -> Text:
    """The text that ``options`` ask for, which may be downloaded; of data sets with two languages the English side."""
    if options.dataset == "tatoeba":
        if options.data_dir is None:
            raise ValueError("--dataset tatoeba needs --data_dir, the folder with its German-English pairs (deu.txt, "
                             "or the zip file that it comes in)")
        return load_tatoeba(options.data_dir)
    if options.dataset == "files":
        return _own_text(options)
    corpus = load_numbers() if options.dataset == "numbers" else \
        load_multi30k("en", "de", options.data_dir, options.cache_dir)
    return Text(corpus.name, corpus.train.src, corpus.valid.src, corpus.test.src)


def _own_text(options: Options) -> Text:
    if options.text:
        return Text(options.text, *split_lines(read_lines(options.text)))
    files = {name: getattr(options, name) for name in ("train_text", "valid_text", "test_text")}
    missing = ["--" + name for name, path in files.items() if path is None]
    if missing:
        raise ValueError(f"--dataset files needs {', '.join(missing)}, or --text alone")
    return load_text(*files.values())


class Language:
    """The task of a language model's run; a checkpoint holds the states that the next step begins with."""

    score_name = ""
    smoothed = False

    def __init__(self, options: Options, encoded: Encoded, contexts: List[mx.Context]) -> None:
        self.options, self._encoded = options, encoded
        self.fingerprint, vocabulary = encoded.text.fingerprint, encoded.vocabulary
        self.sizes = ModelOptions(len(vocabulary), options.embed_size, options.hidden_size, options.num_layers,
                                  options.dropout, options.tied)
        self._stream = TrainingStream(encoded.train, vocabulary.end, options.batch_size, options.bptt, options.seed,
                                      options.line_order == "shuffled")
        self.steps_per_epoch = len(self._stream)
        stages, softmax = split_contexts(contexts, options.softmax_contexts)
        chain = language_chain(self.sizes, not softmax)
        loss = split_loss(self.sizes, softmax) if softmax else LabelSmoothedLoss(layout="NTC")
        costs = chain_costs(chain, loss, options.batch_size, options.bptt)
        plan = choose_plan(costs, stages, options.plan, options.turns, options.num_microbatches * options.num_chunks)
        check_tied(self.sizes, plan)
        _log.info("plan %s, %s, %d chunks x %d micro-batches:\n%s", plan, options.schedule, options.num_chunks,
                  options.num_microbatches, plan.table(costs))
        self.pipe = Pipeline(chain, plan, loss, options.num_microbatches, options.num_chunks, options.schedule,
                             recompute=options.recompute)
        self.trainer = start(self.pipe, options)
        biases = [shard.bias for shard in loss.shards] if softmax else [chain.layers["projection"].dense.bias]
        begin_with_frequencies(biases, encoded.train, vocabulary.end)
        self._generator = Generator(chain, plan, vocabulary, loss if softmax else None)
        self._states: States = []  # of each stateful layer, on its context: what the next step begins with

    def batches(self, epoch: int, start: int) -> Iterator[Segment]:
        if start == 0:
            self._states = self.pipe.begin_state(self.options.batch_size)
        return self._stream.epoch(epoch, start)

    def step(self, batch: Segment) -> Tuple[mx.nd.NDArray, int, int]:
        loss, states = self.pipe.forward_backward(batch.tokens, (batch.labels, batch.valid_length), self._states)
        # those of a step that went wrong, whose update is skipped, would spoil all that follow
        self._states = [[mx.nd.where(state - state == 0, state, mx.nd.zeros_like(state)) for state in layer]
                        for layer in states]
        return loss, batch.num_tokens, batch.num_tokens

    def validate(self, epoch: int) -> Validation:
        valid = self._score(self._encoded.valid, self._encoded.valid_words)
        loss = valid.nats / valid.tokens
        sample, = self._generator(length=self.options.sample_length, temperature=0.8, seed=epoch)
        sample = sample.replace("\n", " / ")
        return Validation([loss], [-loss], f"{loss_text(loss)} (per word {valid.per_word:.2f})", [f"sample: {sample}"])

    def finish(self) -> Tuple[Dict[str, Any], List[str]]:
        encoded = self._encoded
        valid = self._score(encoded.valid, encoded.valid_words)
        test = {"model": self._score(encoded.test, encoded.test_words), **score_baselines(encoded)}
        return ({"dataset": encoded.text.name, "units": self.options.units, "vocab_size": len(encoded.vocabulary),
                 "valid": valid.as_dict(), "test": {name: value.as_dict() for name, value in test.items()}},
                [f"test, {name + ':':<8} perplexity {value.per_token:.2f} per token, {value.per_word:.2f} per word"
                 for name, value in test.items()])

    def save(self, folder: Path) -> None:
        self._encoded.vocabulary.save(folder)
        write_arrays(folder / _STATES, {f"{i}/{j}": array.as_in_context(mx.cpu())
                                        for i, layer in enumerate(self._states) for j, array in enumerate(layer)})

    def restore(self, folder: Path) -> None:
        checkpoint.check_vocabulary(folder, load_vocabulary(folder).tokens, self._encoded.vocabulary.tokens)
        saved = mx.nd.load(str(folder / _STATES))  # the layers may live on other contexts now
        self._states = [[saved[f"{i}/{j}"].as_in_context(array.context) for j, array in enumerate(layer)]
                        for i, layer in enumerate(self.pipe.begin_state(self.options.batch_size))]

    def _score(self, sentences: List[List[int]], words: int) -> Perplexity:
        segments = evaluation_segments(sentences, self._encoded.vocabulary.end, self.options.batch_size,
                                       2 * self.options.bptt)
        return score(self.pipe, segments, words)
