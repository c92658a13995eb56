"""A softmax over a large vocabulary: undivided on one context, and split over several."""
from __future__ import annotations

import sys
from functools import partial
from statistics import median
from typing import Any, Dict, List, Tuple

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import Block

from mxmp import nn

from .process import Worker
from .steps import contexts, random_batch
from .table import markdown
from .turns import rounds

_WORKER = [sys.executable, "-m", f"{__package__}.softmax_worker"]


def compare(job: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Measure projection, loss and all gradients in turns, and in processes of their own what a context holds.

    Parameters
    ----------
    job : dict
        The flags of ``benchmark softmax``.

    Returns
    -------
    list of dict
        Each way's name, median seconds, the median of its rounds' ratios to the undivided one, and the bytes that one
        context holds: parameters, gradients and what a step takes at most.
    """
    places, (hidden, label) = contexts(job), batch(job)
    losses: List[Block] = [Whole(job), *(nn.ShardedSoftmaxLoss(job["vocab_size"], places[:i + 1], job["hidden_size"])
                                         for i in range(len(places)))]
    for loss in losses:
        loss.initialize(ctx=places[0])
        loss.hybridize()
    measured = list(rounds([partial(step, loss, hidden.copy(), label.copy()) for loss in losses], job["repeats"],
                           job["warmup_steps"]))
    return [{"name": "undivided" if i == 0 else f"split over {i}", "seconds": median(times[i] for times in measured),
             "ratio": median(times[i] / times[0] for times in measured), "bytes": _held(job, i)}
            for i in range(len(losses))]


class Whole(mx.gluon.HybridBlock):
    """A projection and its loss on one context."""

    def __init__(self, job: Dict[str, Any]) -> None:
        super().__init__()
        with self.name_scope():
            self.projection = nn.Projection(job["vocab_size"], job["hidden_size"])
            self.loss = nn.LabelSmoothedLoss()

    def hybrid_forward(self, F: Any, hidden: Any, label: Any) -> Any:
        return self.loss(self.projection(hidden), label)


def batch(job: Dict[str, Any]) -> Tuple[mx.nd.NDArray, mx.nd.NDArray]:
    """Hidden states (T, N, H) and labels (N, T) on the first context."""
    label = mx.nd.random.randint(0, job["vocab_size"], shape=(job["batch_size"], job["seq_len"]), ctx=contexts(job)[0])
    return random_batch(job), label


def step(loss: Any, hidden: mx.nd.NDArray, label: mx.nd.NDArray) -> None:
    """Forward and backward pass."""
    hidden.attach_grad()
    with autograd.record():
        out = loss(hidden, label)
    autograd.backward(out)


def _held(job: Dict[str, Any], parts: int) -> float:
    """The median of some processes: the heap's holes, and so its size, differ from one to the next."""
    found = []
    for _ in range(job["repeats"]):
        with Worker("softmax", _WORKER, {**job, "parts": parts, "threads": job["threads_per_context"]}) as worker:
            found.append(worker.ask("memory")[0]["bytes"])
    return median(found)


def table(rows: List[Dict[str, Any]]) -> str:
    """The comparison as a table in Markdown."""
    return markdown({
        "softmax": lambda row: row["name"],
        "ms a step": lambda row: f"{1e3 * row['seconds']:,.0f}",
        "time / undivided": lambda row: f"{row['ratio']:.3f}",
        "MiB on one context": lambda row: f"{row['bytes'] / 2 ** 20:,.0f}",
        "memory / undivided": lambda row: f"{row['bytes'] / rows[0]['bytes']:.3f}"}, rows)
