"""The claim of MXNet's page: an even partition beats one that puts neighbouring layers on separate devices."""
from __future__ import annotations

from functools import partial
from typing import Any, Dict, List

import mxnet as mx

from mxmp import nn
from mxmp.contexts import parse_contexts
from mxmp.pipeline import Pipeline
from mxmp.planning import Plan, profile, tune

from .options import PlansOptions
from .rounds import compare_steps
from .steps import even_plan
from .table import cell, markdown


def compare(options: PlansOptions) -> List[Dict[str, Any]]:
    """Measure three plans for LSTM layers between an embedding and a projection, in turns.

    "separate" gives every context every S-th layer, so that no two neighbours live together; "even" gives all
    contexts equally many neighbouring layers; "planned" is what the planner finds with a profile. Each row has the
    plan's name, text, median seconds, and the median of its rounds' ratios to "even".
    """
    contexts, microbatches = parse_contexts(options.contexts), options.num_microbatches
    chains = [language_stack(options) for _ in range(3)]
    mx.random.seed(2)
    tokens = mx.nd.random.randint(0, options.vocab_size, shape=(options.batch_size, options.seq_len))  # (N, T)
    labels = tokens, mx.nd.full((options.batch_size,), options.seq_len, dtype="int32")
    profiled = profile(language_stack(options), contexts, tokens, loss=nn.LabelSmoothedLoss(), labels=labels,
                       cuts=[(microbatches, 1)])
    plans = {**simple_plans(len(chains[0].layers), contexts), "planned": tune(
        profiled.costs, contexts, [microbatches], schedules=[options.schedule],
        transfer=profiled.link(contexts))[0].plan}
    pipes = [Pipeline(chain, plan, nn.LabelSmoothedLoss(), microbatches, schedule=options.schedule)
             for chain, plan in zip(chains, plans.values())]
    for pipe in pipes:
        pipe.initialize()
    if options.picture:
        for name, plan in plans.items():
            plan.save(f"{options.picture}{name}.png", profiled.costs(microbatches))
    steps = {name: partial(pipe.forward_backward, tokens, labels) for name, pipe in zip(plans, pipes)}
    return [{**row, "plan": str(plans[row["name"]])} for row in compare_steps(steps, mx.nd.waitall, options, "even")]


def language_stack(options: PlansOptions) -> nn.Chain:
    """An embedding, LSTM layers and a projection: layers of three kinds."""
    chain, size = nn.Chain(), options.hidden_size
    chain.add_named("embedding", nn.SequenceEmbedding(options.vocab_size, size))
    for i in range(options.num_layers):
        chain.add_named(f"lstm_{i}", nn.LSTMLayer(size, input_size=size))
    chain.add_named("projection", nn.Projection(options.vocab_size, size))
    return chain


def simple_plans(num_layers: int, contexts: List[mx.Context]) -> Dict[str, Plan]:
    """Neighbours on separate contexts, and equally many layers on each."""
    by_turns = tuple(contexts[i % len(contexts)] for i in range(num_layers))
    return {"separate": Plan((1,) * num_layers, by_turns), "even": even_plan(num_layers, contexts)}


def table(rows: List[Dict[str, Any]]) -> str:
    """The comparison as a table in Markdown."""
    return markdown({"plan": cell("name"), "layers per context": cell("plan"),
                     "ms a step": cell("seconds", ",.0f", 1e3), "time / even": cell("ratio", ".3f")}, rows)
