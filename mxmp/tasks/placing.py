"""From flags to contexts and a plan."""
from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Tuple

import mxnet as mx

from ..contexts import parse_contexts
from ..planning import LayerCost, Plan, balance, tune


def choose_contexts(contexts: str, gpus: Optional[str]) -> List[mx.Context]:
    """The contexts of ``--contexts`` or, if given, of gluonnlp's ``--gpus``."""
    return parse_contexts(gpus if gpus else contexts)


def split_contexts(contexts: List[mx.Context], spanned: int) -> Tuple[List[mx.Context], List[mx.Context]]:
    """Tell the stages' contexts from the ``spanned`` last ones that a softmax is split over.

    The last stage's context is the softmax's first; the softmax has none if it is not split, ``spanned`` being 1.
    """
    if not 1 <= spanned <= len(contexts):
        raise ValueError(f"--softmax_contexts must be from 1 to the {len(contexts)} of --contexts, got {spanned}")
    return contexts[:len(contexts) + 1 - spanned], contexts[-spanned:] if spanned > 1 else []


def choose_plan(costs: List[LayerCost], contexts: List[mx.Context], plan: Optional[str] = None,
                turns: int = 1, pieces: int = 1) -> Plan:
    """The ``plan`` that was asked for, layers per stage as "2,3", or the one that balances the computed work.

    The contexts get a stage each, again and again for so many ``turns``. To balance those of several turns is not
    enough, as all work could be in the first: the plan is the fastest in a simulation of so many ``pieces`` of a batch,
    with the computed work for times. What does not suit the layers and contexts is a ValueError.
    """
    if plan:
        return Plan.parse(plan, contexts * turns, len(costs))
    if turns == 1:
        return Plan(tuple(balance([cost.work for cost in costs], len(contexts))), tuple(contexts))
    timed = [replace(cost, forward=float(cost.flops), backward=float(cost.backward_flops)) for cost in costs]
    return tune(lambda *_: timed, contexts, [pieces], schedules=("interleaved",), stages_per_context=(turns,))[0].plan
