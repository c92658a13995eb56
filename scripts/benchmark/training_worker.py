"""A worker's ways to train the translation model: built once, then measured as often as asked."""
from __future__ import annotations

import time
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, List

import mxnet as mx
from mxnet import autograd, gluon

from mxmp.contexts import parse_contexts
from mxmp.data import Batch, prepare
from mxmp.tasks.translation.options import Options
from mxmp.tasks.translation.task import Translation, cache_folder, load_corpus

Step = Callable[[Batch], None]  # issues a whole step, and does not wait for it


def pipeline(options: Options, task: Translation) -> Step:
    """What a training run does for each batch, with all that it looks after."""
    task.pipe.watchdog(options.stall_timeout, print)

    def step(batch: Batch) -> None:
        loss, tokens, _ = task.step(batch)
        task.trainer.step(tokens, loss=loss)
    return step


def plain(options: Options, task: Translation) -> Step:
    """Gluon's way on one context, one micro-batch after the other, with its own clipping and its own Trainer."""
    context, loss_of = parse_contexts(options.contexts)[0], task.pipe.stages[-1].loss
    parameters = task.pipe.collect_params()
    parameters.setattr("grad_req", "add" if options.num_microbatches > 1 else "write")
    trainer = gluon.Trainer(parameters, "adam", {"learning_rate": options.learning_rate, "beta2": 0.98})
    grads = [parameter.grad(context) for parameter in parameters.values()]

    def step(batch: Batch) -> None:
        parameters.zero_grad()
        for part in zip(*(gluon.utils.split_data(array, options.num_microbatches, even_split=False)
                          for array in batch[:5])):
            src, src_len, tgt_in, *labels = [array.copyto(context) for array in part]
            with autograd.record():
                loss = loss_of(task.pipe.chain(src, src_len, tgt_in), *labels).sum()
            loss.backward()
        gluon.utils.clip_global_norm(grads, options.clip_norm * batch.num_tokens, check_isfinite=False)
        trainer.step(batch.num_tokens)
    return step


WORKS = {"pipeline": pipeline, "plain": plain}


def answers(job: Any) -> Dict[str, Callable[[], Any]]:
    """What a worker answers: the seconds and tokens of some training steps."""
    given = {name: getattr(job, name) for name in ("dataset", "data_dir", "contexts", "schedule", "batch_size",
                                                   "num_microbatches")}
    options = Options(**{**Options.preset(given), **given})
    prepared = prepare(load_corpus(options), options.vocab_size, True, options.max_length, cache_folder(options))
    with TemporaryDirectory() as folder:
        task = Translation(options, prepared, parse_contexts(options.contexts), Path(folder))
    step = WORKS[job.way](options, task)
    batches = list(islice(task.batches(0, 0), job.warmup_steps + job.steps))
    for batch in batches[:job.warmup_steps]:
        step(batch)
        mx.nd.waitall()
    return {"measure": partial(measure, step, batches[job.warmup_steps:])}


def measure(step: Step, batches: List[Batch]) -> Dict[str, Any]:
    """Seconds until all of the steps are done, and the source and target tokens of their batches."""
    begin = time.perf_counter()
    for batch in batches:
        step(batch)
    mx.nd.waitall()
    return {"seconds": time.perf_counter() - begin, "tokens": sum(batch.num_words for batch in batches)}
