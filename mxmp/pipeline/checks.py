"""What a pipeline and a trainer refuse when they are made, each in one line with the remedy."""
from __future__ import annotations

from typing import Any, Dict, Iterable, List

from mxnet.gluon import Parameter

from ..planning import Plan
from ..schedule import SCHEDULES
from .cut import LAYOUTS
from .parameters import Contexts


def check_plan(plan: Any, num_layers: int) -> None:
    """Refuse what is no plan, or one of another number of layers."""
    if not isinstance(plan, Plan):
        raise ValueError(f"a pipeline needs a Plan, got {plan!r}; write Plan((2, 1), (mx.gpu(0), mx.gpu(1))) for two "
                         "layers and one, or let mxmp.planning.balance find one")
    if sum(plan.counts) != num_layers:
        raise ValueError(f"the plan {plan} places {sum(plan.counts)} layers, but the chain has {num_layers}")


def check_options(loss: Any, num_microbatches: int, num_chunks: int, schedule: str, layout: str,
                  reduction: str) -> None:
    """Refuse options that are none."""
    if loss is not None and not callable(loss):
        raise ValueError(f"the loss must be callable, got {loss!r}; for several losses write a function that returns "
                         "their sum, row by row")
    for name, value in (("num_microbatches", num_microbatches), ("num_chunks", num_chunks)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    for name, choice, known in (("schedule", schedule, tuple(SCHEDULES)), ("layout", layout, LAYOUTS),
                                ("reduction", reduction, ("sum", "mean"))):
        if choice not in known:
            raise ValueError(f"unknown {name} {choice!r}; choose one of {', '.join(map(repr, known))}")


def for_each_stage(recompute: Any, plan: Plan) -> List[bool]:
    """Whether each stage of a plan recomputes, from one bool for all or a sequence of them; refuses what is neither."""
    flags = [recompute] * len(plan.counts) if isinstance(recompute, bool) else recompute
    if not isinstance(flags, (list, tuple)) or list(map(type, flags)) != [bool] * len(plan.counts):
        raise ValueError(f"recompute must be True, False or a bool for each of the {len(plan.counts)} stages of the "
                         f"plan {plan}, got {recompute!r}")
    return list(flags)


def check_dense(parameters: Iterable[Parameter]) -> None:
    """Refuse sparse parameters and gradients, which MXNet cannot add up over micro-batches."""
    for parameter in parameters:
        if (parameter._stype, parameter._grad_stype) != ("default", "default"):
            raise ValueError(f"parameter {parameter.name} is sparse (stype {parameter._stype!r}, grad_stype "
                             f"{parameter._grad_stype!r}), and MXNet cannot add up sparse gradients over "
                             "micro-batches; use sparse_grad=False")


def check_unshared(contexts: Contexts, others: Iterable[Any]) -> None:
    """Refuse parameters that another open pipeline has on other contexts; on the same ones both may use them."""
    for other in others:
        elsewhere = other.parameter_contexts
        for parameter, own in contexts.items():
            if elsewhere.get(parameter, own) != own:
                raise ValueError(
                    f"parameter {parameter.name} belongs to an open pipeline with the plan {other.plan}, too, where it "
                    f"is on {', '.join(map(str, elsewhere[parameter]))} and not on {', '.join(map(str, own))}; give "
                    "both the same plan, or close() that one first")


def check_trainer_options(kvstore: Any, compression_params: Any, update_on_kvstore: Any, clip_norm: Any) -> None:
    """Refuse options of ``gluon.Trainer`` that ask for what there is not."""
    if kvstore not in ("device", "local", None):
        raise ValueError(f"kvstore must be 'device', 'local' or None, got {kvstore!r}; Trainer works in one process, "
                         "without a kvstore")
    if compression_params:
        raise ValueError(f"compression_params must be None, got {compression_params}; there is no kvstore to compress "
                         "for")
    if update_on_kvstore:
        raise ValueError(f"update_on_kvstore must be False or None, got {update_on_kvstore}; there is no kvstore")
    if clip_norm is not None and not clip_norm > 0:
        raise ValueError(f"clip_norm must be positive, got {clip_norm}")


def check_at_once(names: Dict[Parameter, str], others: Iterable[Any]) -> None:
    """Refuse to update a block's parameters that are in an open pipeline whose updates are not made at once."""
    for other in others:
        late = other.parameter_contexts.keys() & names.keys() if other.schedule == "continuous" else ()
        for parameter in late:
            raise ValueError(f"{names[parameter]} is in a continuous pipeline, whose updates are made a step late; "
                             "give Trainer the pipeline")
