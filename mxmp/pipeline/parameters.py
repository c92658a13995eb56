"""Where a pipeline's parameters live, and what they are called."""
from __future__ import annotations

from typing import Any, Dict, List, Sequence

import mxnet as mx
from mxnet.gluon import Block, Parameter

from .stage import Stage

Placement = Dict[Parameter, List[mx.Context]]


def placement(stages: Sequence[Stage]) -> Placement:
    """Every parameter with its contexts: several where layers of different stages share it."""
    placed: Placement = {}
    for stage in stages:
        for parameter in stage.parameters:
            contexts = placed.setdefault(parameter, [])
            if stage.context not in contexts:
                contexts.append(stage.context)
    return placed


def names(stages: Sequence[Stage]) -> Dict[Parameter, str]:
    """Every parameter's name by its place in the chain; a shared one has the name of its first place."""
    found: Dict[Parameter, str] = {}
    for stage in stages:
        loss = [("loss", block) for block in (stage.head.blocks if stage.head else ())]
        for layer, block in [*stage.layers.items(), *loss]:
            for name, parameter in block._collect_params_with_prefix().items():
                found.setdefault(parameter, f"{layer}.{name}")
    return found


def place(placed: Placement) -> None:
    """Move parameters to their contexts, and let their gradients add up over a step's micro-batches."""
    for parameter, contexts in placed.items():
        if parameter.list_ctx() != contexts:
            parameter.reset_ctx(contexts)
        if parameter.grad_req == "write":
            parameter.grad_req = "add"


def initialize(placed: Placement, init: Any, force_reinit: bool) -> None:
    """Give every parameter its first value on its own contexts, in the chain's order whatever the plan."""
    for parameter, contexts in placed.items():
        parameter.initialize(None, contexts, init or mx.init.Uniform(), force_reinit)


def save(path: str, chain: Block) -> None:
    """Write a chain's parameters to one file that its own ``load_parameters`` reads too; waits for them.

    Of a shared parameter's equal copies the first is written: Gluon's own method writes their mean, which rounds
    where there are three.
    """
    mx.nd.save(path, {name: parameter.data(parameter.list_ctx()[0])
                      for name, parameter in chain._collect_params_with_prefix().items()})
