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
    """The plan that was asked for or, with None, the one that balances the computed work.

    Parameters
    ----------
    costs : list of LayerCost
        Of the chain's layers.
    contexts : list of mx.Context
        Where they shall live.
    plan : str or None
        Layers per context, as "2,3".

    Returns
    -------
    Plan
        One stage on each context.

    Raises
    ------
    ValueError
        If the plan does not suit the layers and contexts, or there are more contexts than layers.
    """
    if plan:
        return Plan.parse(plan, contexts, len(costs))
    return Plan(tuple(balance([cost.work for cost in costs], len(contexts))), tuple(contexts))
