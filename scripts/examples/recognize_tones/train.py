"""The run from its data to its results: the model on several contexts, the training loop, and the error rates of all
decoders on the test sounds."""
from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

import gluonnlp
import mxnet as mx
import numpy as np
from example_run import read_meter
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from mxmp import Pipeline, Trainer
from mxmp.planning import analytic
from mxmp.tasks.folder import open_folder
from mxmp.tasks.placing import choose_contexts, choose_plan
from mxmp.tasks.progress import Meter, Progress, describe_run, write_results

from .batches import Sample, batches, make_batch, make_splits
from .decoding import best_path, prefix_beam
from .model import tones_chain
from .options import TonesOptions
from .scoring import draw, token_error_rate
from .sounds import BINS, TONES
from .templates import Templates

_log = logging.getLogger("mxmp.recognize_tones")
_ROWS = 64  # of a batch that is only recognized


def run(options: TonesOptions) -> Dict[str, Any]:
    """Train the network and compare it with the baseline; returns the content of ``results.json``."""
    contexts = choose_contexts(options.contexts, options.gpus)
    folder = open_folder(options, "tones")
    samples = make_splits(options.seed, options.num_sounds)
    with build(options, samples["train"], contexts) as pipe, logging_redirect_tqdm([logging.getLogger("mxmp")]):
        progress = train(options, pipe, samples, folder)
        started = time.perf_counter()
        pipe.load_parameters(str(folder / "best.params"))
        probs = log_probs(pipe, samples["test"])
    templates, test = Templates(samples["train"], samples["valid"], len(TONES)), samples["test"]
    decoded = {"best_path": list(map(best_path, probs)),
               "prefix_beam": [prefix_beam(frames, options.beam_size)[0][0] for frames in probs],
               "templates": [templates(sample.frames) for sample in test]}
    rates = {name: token_error_rate(symbols, [s.symbols for s in test]) for name, symbols in decoded.items()}
    progress.seconds += time.perf_counter() - started
    draw(folder / "recognized.png", test[0], probs[0], {name: symbols[0] for name, symbols in decoded.items()})
    results = {"test": {"token_error_rate": rates, "sounds": len(test), "symbols": sum(len(s.symbols) for s in test)},
               "templates": {"shortest_run": templates.shortest, "centred": templates.centred},
               **describe_run(options, pipe.plan, progress, (mx, np, gluonnlp))}
    write_results(folder, results)
    for name, rate in rates.items():
        _log.info("test: %-11s token error rate %.4f", name, rate)
    return results


def build(options: TonesOptions, samples: Sequence[Sample], contexts: List[mx.Context]) -> Pipeline:
    """The model, its layers spread over the contexts, with first values that the seed decides; the plan is for batches
    of the mean length of the ``samples``."""
    frames = [len(sample.frames) for sample in samples]
    _log.info("%d sounds to train on, of %d to %d frames and %.1f symbols on average", len(samples), min(frames),
              max(frames), np.mean([len(sample.symbols) for sample in samples]))
    chain = tones_chain(len(TONES) + 1, BINS, options.hidden_size, options.num_layers)
    costs = analytic(chain, (options.batch_size, int(np.mean(frames)), BINS), (options.batch_size,))
    plan = choose_plan(costs, contexts, options.plan)
    _log.info("plan %s, %d micro-batches, %s:\n%s", plan, options.num_microbatches, options.schedule, plan.table(costs))
    pipe = Pipeline(chain, plan, mx.gluon.loss.CTCLoss(), options.num_microbatches, schedule=options.schedule)
    mx.random.seed(options.seed)
    pipe.initialize()
    return pipe


def train(options: TonesOptions, pipe: Pipeline, samples: Dict[str, List[Sample]], folder: Path) -> Progress:
    """Train, and keep the parameters of the epoch with the fewest errors on validation sounds in ``best.params``."""
    num_batches = -(-len(samples["train"]) // options.batch_size)
    num_steps = options.epochs * num_batches
    rates = mx.lr_scheduler.CosineScheduler(num_steps + 1, options.learning_rate, warmup_steps=min(50, num_steps // 2))
    trainer = Trainer(pipe, "adam", clip_norm=1.0)
    progress, lowest, started = Progress(), math.inf, time.perf_counter()
    for epoch in range(options.epochs):
        meter = Meter()
        bar = tqdm(batches(samples["train"], options.batch_size, options.seed, epoch),
                   f"epoch {epoch + 1}/{options.epochs}", num_batches, unit="batch", leave=False, disable=None)
        for frames, num_frames, symbols, num_symbols in bar:
            rate = rates(progress.step + 1)
            trainer.set_learning_rate(rate)
            pipe.seed(options.seed, progress.step)
            loss = pipe.forward_backward((frames, num_frames), (symbols, num_frames, num_symbols))
            norm = trainer.step(len(frames))
            meter.add(loss, norm, len(frames), frames.shape[0] * frames.shape[1])
            progress.step += 1
            if progress.step % 50 == 0 or progress.step % num_batches == 0:
                loss, norm, speed = read_meter(meter, progress, options)
                state = f"loss {loss:.4f} {speed:.0f} frames/s norm {norm:.3f} lr {rate:.2e}"
                bar.set_postfix_str(state)
                _log.info("epoch %d step %d/%d %s", epoch + 1, progress.step, num_steps, state)
                meter = Meter()
        paths = list(map(best_path, log_probs(pipe, samples["valid"])))
        error = token_error_rate(paths, [sample.symbols for sample in samples["valid"]])
        progress.epoch, progress.seconds = epoch + 1, time.perf_counter() - started
        _log.info("epoch %d valid: token error rate %.4f, after %.1f minutes", epoch + 1, error, progress.seconds / 60)
        if error <= lowest:  # of equal ones the later
            lowest = error
            pipe.save_parameters(str(folder / "best.params"))
    return progress


def log_probs(pipe: Pipeline, samples: Sequence[Sample]) -> List[np.ndarray]:
    """The logarithms of the class probabilities of each of ``samples``, (T, C) for its own T frames."""
    outputs = []
    for begin in range(0, len(samples), _ROWS):
        rows = samples[begin:begin + _ROWS]
        batch = make_batch(rows)
        scores = pipe((batch.frames, batch.num_frames)).log_softmax(axis=-1).asnumpy()  # (N, T, C)
        outputs += [row[:len(sample.frames)] for row, sample in zip(scores, rows)]
    return outputs
