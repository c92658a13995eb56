"""From flags to contexts and a plan."""
from __future__ import annotations

from typing import Any, List

import mxnet as mx

from ..contexts import parse_contexts
from ..partition import LayerCost, Plan, balance


def choose_contexts(contexts: str, gpus: Any) -> List[mx.Context]:
    """The contexts of ``--contexts`` or, if given, of gluonnlp's ``--gpus``."""
    return parse_contexts(gpus if gpus else contexts)


def make_plan(costs: List[LayerCost], contexts: List[mx.Context], plan: Any = None) -> Plan:
    """The plan that was asked for or, with None, the one that balances the computed work."""
    if plan:
        return Plan.parse(plan, contexts, len(costs))
    return Plan(tuple(balance([cost.work for cost in costs], len(contexts))), tuple(contexts))
