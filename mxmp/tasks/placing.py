"""From flags to contexts and a plan."""
from __future__ import annotations

from typing import Any, List, Tuple

import mxnet as mx

from ..contexts import parse_contexts
from ..planning import LayerCost, Plan, balance


def choose_contexts(contexts: str, gpus: Any) -> List[mx.Context]:
    """The contexts of ``--contexts`` or, if given, of gluonnlp's ``--gpus``."""
    return parse_contexts(gpus if gpus else contexts)


def split_contexts(contexts: List[mx.Context], spanned: int) -> Tuple[List[mx.Context], List[mx.Context]]:
    """Tell the stages' contexts from those of a softmax that is split over the last ones.

    Parameters
    ----------
    contexts : list of mx.Context
        All of them.
    spanned : int
        How many the softmax spans; 1 if it is not split.

    Returns
    -------
    stages, softmax : list of mx.Context
        The last stage's context is the softmax's first; the latter is empty if it is not split.

    Raises
    ------
    ValueError
        If there are fewer contexts than that.
    """
    if not 1 <= spanned <= len(contexts):
        raise ValueError(f"--softmax_contexts must be from 1 to the {len(contexts)} of --contexts, got {spanned}")
    return contexts[:len(contexts) + 1 - spanned], contexts[-spanned:] if spanned > 1 else []


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
