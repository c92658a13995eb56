"""A softmax over a large vocabulary: undivided on one context, and split over several."""
from __future__ import annotations

from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Any, Callable, Dict, List, Tuple

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import Block

from mxmp import nn
from mxmp.contexts import parse_contexts
from mxmp.nn.sharded_softmax import SoftmaxShard
from mxmp.sizes import even_sizes

from .launcher import MXNET
from .options import SoftmaxOptions
from .rounds import compare_steps
from .serving import measure_memory
from .steps import random_batch
from .table import cell, markdown
from .worker import Worker


def compare(options: SoftmaxOptions) -> List[Dict[str, Any]]:
    """Measure projection, loss and all gradients in turns, and in processes of their own what a context holds.

    Each row has the way's name, median seconds, the median of its rounds' ratios to the undivided one, and the bytes
    that one context holds: parameters, gradients and what a step takes at most.
    """
    contexts, (hidden, label) = parse_contexts(options.contexts), batch(options)
    losses: Dict[str, Block] = {"undivided": Whole(options)}
    for count in range(1, len(contexts) + 1):
        losses[f"split over {count}"] = nn.ShardedSoftmaxLoss(options.vocab_size, contexts[:count], options.hidden_size)
    for loss in losses.values():
        loss.initialize(ctx=contexts[0])
        loss.hybridize()
    steps = {name: partial(step, loss, hidden.copy(), label.copy()) for name, loss in losses.items()}
    rows = compare_steps(steps, mx.nd.waitall, options, "undivided")
    return [{**row, "bytes": bytes_held(options, i)} for i, row in enumerate(rows)]


class Whole(mx.gluon.HybridBlock):
    """A projection and its loss on one context."""

    def __init__(self, job: Any) -> None:
        super().__init__()
        with self.name_scope():
            self.projection = nn.Projection(job.vocab_size, job.hidden_size)
            self.loss = nn.LabelSmoothedLoss()

    def hybrid_forward(self, F: Any, hidden: Any, label: Any) -> Any:
        return self.loss(self.projection(hidden), label)


def batch(job: Any) -> Tuple[mx.nd.NDArray, mx.nd.NDArray]:
    """Hidden states (T, N, H) and labels (N, T) on the first context."""
    label = mx.nd.random.randint(0, job.vocab_size, shape=(job.batch_size, job.seq_len),
                                 ctx=parse_contexts(job.contexts)[0])
    return random_batch(job), label


def step(loss: Any, hidden: mx.nd.NDArray, label: mx.nd.NDArray) -> None:
    """Forward and backward pass."""
    hidden.attach_grad()
    with autograd.record():
        out = loss(hidden, label)
    autograd.backward(out)


def bytes_held(options: SoftmaxOptions, num_shards: int) -> float:
    """What one context holds of a softmax in so many shards, or of one that is undivided (0).

    The median of some processes: the heap's holes, and so its size, differ from one to the next.
    """
    job = {**asdict(options), "work": "softmax", "num_shards": num_shards, "threads": options.threads_per_context}
    held = []
    for _ in range(options.repeats):
        with Worker("softmax", MXNET, job) as worker:
            answer = worker.ask("memory")[0]
            held.append(answer["peak"] - answer["before"])
    return median(held)


def answers(job: Any) -> Dict[str, Callable[[], Any]]:
    """What a worker answers: the memory of one context's shard alone, or of all that is undivided."""
    hidden, label = batch(job)
    size, context = job.vocab_size, parse_contexts(job.contexts)[0]

    def prepare() -> Callable[[], Any]:
        if job.num_shards:
            tokens = range(size - even_sizes(size, job.num_shards)[-1], size)  # of the last context, which has the most
            loss = SoftmaxShard(tokens, size, context, job.hidden_size, False, None, {}, "float32")
        else:
            loss = Whole(job)
        loss.initialize(ctx=context)
        loss.hybridize()
        return partial(step, loss, hidden, label)
    return {"memory": partial(measure_memory, prepare, mx.nd.waitall)}


def table(rows: List[Dict[str, Any]]) -> str:
    """The comparison as a table in Markdown."""
    return markdown({
        "softmax": cell("name"), "ms a step": cell("seconds", ",.0f", 1e3), "time / undivided": cell("ratio", ".3f"),
        "MiB on one context": cell("bytes", ",.0f", 1 / 2 ** 20),
        "memory / undivided": lambda row: f"{row['bytes'] / rows[0]['bytes']:.3f}"}, rows)
