"""The claim of MXNet's page: an even partition beats one that puts neighbouring layers on separate devices."""
from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any, Dict, List

import mxnet as mx

from mxmp import nn
from mxmp.pipeline import Pipeline
from mxmp.planning import Plan, profile, tune

from .steps import contexts
from .table import markdown
from .turns import rounds


def compare(job: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Measure three plans for LSTM layers between an embedding and a projection, in turns.

    "separate" gives every context every S-th layer, so that no two neighbours live together; "even" gives all
    contexts equally many neighbouring layers; "planned" is what the planner finds with a profile.

    Parameters
    ----------
    job : dict
        The flags of ``benchmark plans``.

    Returns
    -------
    list of dict
        Each plan's name, text, median seconds, and the median of its rounds' ratios to "even".
    """
    places, chains = contexts(job), [language_stack(job) for _ in range(3)]
    shape, microbatches = (job["batch_size"], job["seq_len"]), job["num_microbatches"]
    mx.random.seed(2)
    tokens = mx.nd.random.randint(0, job["vocab_size"], shape=shape)
    labels = tokens, mx.nd.full(shape[:1], shape[1], dtype="int32")
    loss = nn.LabelSmoothedLoss()
    found = profile(language_stack(job), places, tokens, loss=loss, labels=labels, cuts=[(microbatches, 1)])
    plans = {**simple_plans(len(chains[0].layers), places), "planned": tune(
        found.costs, places, [microbatches], schedules=[job["schedule"]], transfer=found.link(places))[0].plan}
    pipes = [Pipeline(chain, plan, nn.LabelSmoothedLoss(), microbatches, schedule=job["schedule"])
             for chain, plan in zip(chains, plans.values())]
    for pipe in pipes:
        pipe.initialize()
    if job["picture"]:
        for name, plan in plans.items():
            plan.save(f"{job['picture']}{name}.png", found.costs(microbatches))
    measured = list(rounds([partial(pipe.forward_backward, tokens, labels) for pipe in pipes],
                           job["repeats"], job["warmup_steps"]))
    even = list(plans).index("even")
    return [{"name": name, "plan": str(plan), "seconds": median(times[i] for times in measured),
             "ratio": median(times[i] / times[even] for times in measured)}
            for i, (name, plan) in enumerate(plans.items())]


def language_stack(job: Dict[str, Any]) -> nn.Chain:
    """An embedding, LSTM layers and a projection: layers of three kinds."""
    chain, size = nn.Chain(), job["hidden_size"]
    chain.add_named("embedding", nn.SequenceEmbedding(job["vocab_size"], size))
    for i in range(job["num_layers"]):
        chain.add_named(f"lstm_{i}", nn.LSTMLayer(size, input_size=size))
    chain.add_named("projection", nn.Projection(job["vocab_size"], size))
    return chain


def simple_plans(num_layers: int, places: List[mx.Context]) -> Dict[str, Plan]:
    """Neighbours on separate contexts, and equally many layers on each."""
    bounds = [num_layers * i // len(places) for i in range(len(places) + 1)]
    return {"separate": Plan((1,) * num_layers, tuple(places[i % len(places)] for i in range(num_layers))),
            "even": Plan(tuple(stop - start for start, stop in zip(bounds, bounds[1:])), tuple(places))}


def table(rows: List[Dict[str, Any]]) -> str:
    """The comparison as a table in Markdown."""
    return markdown({"plan": lambda row: row["name"], "layers per context": lambda row: row["plan"],
                     "ms a step": lambda row: f"{1e3 * row['seconds']:,.0f}",
                     "time / even": lambda row: f"{row['ratio']:.3f}"}, rows)
