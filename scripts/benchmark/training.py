"""Whole training steps of the translation model, update included: tokens a second, each way in a process of its own."""
from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from statistics import median
from typing import Any, Dict, List

from tqdm import tqdm

from mxmp.contexts import parse_contexts

from .launcher import MXNET
from .options import TrainingOptions
from .table import cell, markdown
from .variants import WAYS
from .worker import Worker

_REFERENCES = ("plain", "plain_microbatches", "two_threads", "1f1b")


def compare(options: TrainingOptions) -> List[Dict[str, Any]]:
    """Measure every way in rounds, one after the other; all see the same batches.

    Each row has the way's name, its median of tokens a second and, by reference, the median of its rounds' ratios of
    tokens a second.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(_start(name, options)) for name in options.selected]
        rounds = [{worker.name: _measure(worker) for worker in workers}
                  for _ in tqdm(range(options.repeats), "rounds", file=sys.stderr, leave=False, disable=None)]
    return [{"name": name, "tokens_per_second": median(speeds[name] for speeds in rounds),
             **{reference: median(speeds[name] / speeds[reference] for speeds in rounds)
                if reference in rounds[0] else None for reference in _REFERENCES}} for name in rounds[0]]


def _start(name: str, options: TrainingOptions) -> Worker:
    """A worker that is ready to measure a way to train."""
    way, contexts = WAYS[name], parse_contexts(options.contexts)
    return Worker(name, MXNET, {
        **asdict(options), **way._asdict(), "work": "training", "way": way.work,
        "contexts": options.contexts if way.on == "all" else str(contexts[0]),
        "threads": options.threads_per_context * (len(contexts) if way.on == "threads" else 1),
        "num_microbatches": max(1, int(way.share * options.num_microbatches))})


def _measure(worker: Worker) -> float:
    answer = worker.ask("measure")[0]
    return answer["tokens"] / answer["seconds"]


def table(rows: List[Dict[str, Any]]) -> str:
    """The comparison as a table in Markdown."""
    return markdown({"way": lambda row: f"`{row['name']}`", "tokens/s": cell("tokens_per_second", ",.0f"),
                     **{f"over `{name}`": cell(name, ".3f") for name in _REFERENCES}}, rows)
