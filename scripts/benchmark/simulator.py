"""Is the simulator right? Step times that it predicts from a profile, beside measured ones."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any, Dict, List, Tuple

import mxnet as mx

from mxmp.contexts import parse_contexts
from mxmp.pipeline import Pipeline
from mxmp.planning import Plan, Profile, profile, simulate
from mxmp.schedule import SCHEDULES, stream

from .options import SimulatorOptions
from .rounds import time_steps
from .steps import HalfSquare, random_batch, stack
from .table import cell, markdown


@dataclass(frozen=True)
class Configuration:
    """One way to run the stack: layers per stage, schedule, micro-batches and time chunks."""

    counts: Tuple[int, ...]
    schedule: str
    num_microbatches: int
    num_chunks: int


CONFIGURATIONS = [Configuration(*values) for values in [
    ((4,), "1f1b", 1, 1), ((4,), "1f1b", 4, 1), ((4,), "fill_drain", 8, 1), ((4,), "wavefront", 1, 8),
    ((2, 2), "1f1b", 2, 1), ((2, 2), "1f1b", 4, 1), ((2, 2), "1f1b", 8, 1), ((2, 2), "fill_drain", 4, 1),
    ((2, 2), "fill_drain", 8, 1), ((2, 2), "wavefront", 1, 8), ((2, 2), "wavefront", 2, 4), ((2, 2), "1f1b", 4, 2),
    ((1, 3), "1f1b", 8, 1), ((3, 1), "1f1b", 4, 1), ((3, 1), "fill_drain", 8, 1), ((1, 3), "wavefront", 1, 8),
    ((1, 1, 1, 1), "interleaved", 4, 1), ((1, 1, 1, 1), "interleaved", 8, 1),
    ((2, 2), "continuous", 2, 1), ((2, 2), "continuous", 4, 1), ((1, 3), "continuous", 4, 1)]]


def compare(options: SimulatorOptions) -> List[Dict[str, Any]]:
    """Measure every configuration in turns, with a profile of the layers in each round, and simulate it.

    Each row has the medians of measured and predicted seconds, and of the rounds' ratios.
    """
    contexts = parse_contexts(options.contexts)
    if len(contexts) < 2 or options.num_layers != 4:
        raise ValueError("the simulator's configurations are for 4 layers and 2 contexts")
    data = random_batch(options)
    places = contexts[:2] * 2
    pipes = [Pipeline(stack(options), Plan(c.counts, places[:len(c.counts)]), HalfSquare(options.hidden_size),
                      c.num_microbatches, c.num_chunks, c.schedule, "TNC") for c in CONFIGURATIONS]
    chain, cuts = stack(options), sorted({(c.num_microbatches, c.num_chunks) for c in CONFIGURATIONS})
    pairs: List[List[Tuple[float, float]]] = [[] for _ in pipes]
    for measured in time_steps([partial(step_of, pipe, data) for pipe in pipes], mx.nd.waitall, options):
        profiled = profile(chain, contexts, data, loss=HalfSquare(options.hidden_size), cuts=cuts, layout="TNC",
                           repeats=1)
        for i, pipe in enumerate(pipes):
            pairs[i].append((predicted(pipe, profiled), measured[i] / num_steps(pipe)))
    return [{**asdict(configuration), "predicted": median(p for p, _ in pair), "measured": median(m for _, m in pair),
             "ratio": median(p / m for p, m in pair)} for configuration, pair in zip(CONFIGURATIONS, pairs)]


def num_steps(pipe: Pipeline) -> int:
    """How many steps are measured at once: of a stream some, or it would be none."""
    return 4 if pipe.schedule == "continuous" else 1


def step_of(pipe: Pipeline, data: mx.nd.NDArray) -> None:
    """A step or, of a stream, some with updates that change nothing."""
    for _ in range(num_steps(pipe)):
        pipe.forward_backward(data)
        pipe.update(lambda: None)
    pipe.flush()


def predicted(pipe: Pipeline, profiled: Profile) -> float:
    """Seconds of a pipeline's step, as the simulator sees it; of a stream with its share of the bubble at the end."""
    m, c, places = pipe.num_microbatches, pipe.num_chunks, pipe.plan.contexts
    schedule = stream(places, m, c, num_steps(pipe)) if num_steps(pipe) > 1 else SCHEDULES[pipe.schedule](places, m, c)
    simulation = simulate(schedule, profiled.costs(m, c), pipe.plan, profiled.link(places))
    return simulation.seconds / num_steps(pipe)


def table(rows: List[Dict[str, Any]]) -> str:
    """The comparison as a table in Markdown."""
    return markdown({
        "plan": lambda row: ",".join(map(str, row["counts"])), "schedule": cell("schedule"),
        "micro-batches": cell("num_microbatches"), "chunks": cell("num_chunks"),
        "measured ms": cell("measured", ",.0f", 1e3), "predicted ms": cell("predicted", ",.0f", 1e3),
        "predicted / measured": cell("ratio", ".3f")}, rows)
