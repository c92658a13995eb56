"""What planner and simulator make of profiles that others published: layer by layer, of GNMT on V100 boards.

The files in profiles/ hold figures of PipeDream's repository (Narayanan et al. 2019, msr-fiddle/pipedream,
profiler/translation/profiles): forward and backward time, parameters and outputs of each node of two translation
models. Every node that takes time is a layer of a chain, in the order of the graph; what a cut sends are all arrays
that a layer after it takes from one before it: a residual sum beside a dropped-out copy of it, and in the decoder the
attention's context, which every layer takes.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import mxnet as mx

from mxmp.planning import Plan, Profile, balance, tune
from mxmp.schedule import SCHEDULES

from .options import PublishedOptions
from .table import Columns, cell, markdown

MODELS = ("gnmt_8", "gnmt_16")
DATA_PARALLEL = {"gnmt_8": {1: 21346, 4: 76083, 8: 153697}}
"""Tokens a second of both languages, fp32, data-parallel, on so many V100 boards of a DGX-1: the README of
PyTorch/Translation/GNMT in NVIDIA/DeepLearningExamples as of 2019-02-14 to 2019-07-08 (commit 0663b67c)."""


def load(model: str) -> Profile:
    """The published profile of a model, for one micro-batch."""
    return Profile.load(str(Path(__file__).parent / "profiles" / f"{model}.json"))


def compare(options: PublishedOptions) -> List[Dict[str, Any]]:
    """The best cut and every schedule's simulated step, for each model, number of contexts and of micro-batches.

    Each row has the cut that balances work alone, how many times as fast as one context its slowest stage is ("limit"),
    and by schedule how many times as fast a simulated step is, with the plan that is best for it, transfers included.
    """
    rows = []
    for model in MODELS:
        profile = load(model)
        for count in options.contexts:
            cut, limit = best_cut(profile, count)
            for microbatches in options.num_microbatches:
                rows.append({"model": model, "contexts": count, "cut": cut, "limit": limit,
                             "num_microbatches": microbatches, "tokens": tokens_per_second(profile),
                             "data_parallel": DATA_PARALLEL.get(model, {}).get(count),
                             "speedups": {name: speedup(profile, count, microbatches, name) for name in SCHEDULES}})
    return rows


def best_cut(profile: Profile, count: int) -> Tuple[List[int], float]:
    """Layers per context with the fastest slowest stage, and the work of all stages over that stage's."""
    work = [cost.work for cost in profile.costs()]
    plan = Plan(tuple(balance(work, count)), tuple(map(mx.gpu, range(count))))
    return list(plan.counts), 1 / max(plan.shares(profile.costs()))


def speedup(profile: Profile, count: int, microbatches: int, schedule: str) -> float:
    """One context's time for a step over the simulated time on ``count`` contexts, with the best plan found."""
    contexts, costs = list(map(mx.gpu, range(count))), profile.costs()
    best = tune(lambda *_: costs, contexts, [microbatches], schedules=[schedule], transfer=profile.link(contexts))[0]
    return microbatches * sum(cost.work for cost in costs) / best.seconds


def tokens_per_second(profile: Profile) -> float:
    """Of one context, positions of both languages, filled or not."""
    sizes = profile.machine
    tokens = sizes["rows"] * (sizes["source_steps"] + sizes["target_steps"])
    return tokens / sum(cost.work for cost in profile.costs())


def table(rows: List[Dict[str, Any]]) -> str:
    """The comparison as a table in Markdown: times as fast as one context, and thousands of tokens a second."""
    columns: Columns = {
        "model": cell("model"), "contexts": cell("contexts"), "micro-batches": cell("num_microbatches"),
        "best cut": lambda row: ",".join(map(str, row["cut"])), "without bubble": cell("limit", ".2f")}
    for name in rows[0]["speedups"]:
        columns[name] = lambda row, name=name: _cell(row["speedups"][name], row["speedups"][name] * row["tokens"])
    columns["data parallel"] = lambda row: "-" if row["data_parallel"] is None else _cell(
        row["data_parallel"] / DATA_PARALLEL[row["model"]][1], row["data_parallel"])
    return markdown(columns, rows)


def _cell(speedup: float, tokens: float) -> str:
    return f"{speedup:.2f} ({tokens / 1e3:.1f}K)"
