"""A trained model's chain, for translating."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Tuple

from ...data import Subwords
from ...planning import Plan
from .. import checkpoint
from .model import ModelOptions, translation_chain


def load_trained(found: Path, plan_for: Callable[[Any], Plan]) -> Tuple[Any, Plan, Subwords]:
    """Build a checkpoint's chain with its parameters in place.

    Parameters
    ----------
    found : Path
        From `checkpoint.find`.
    plan_for : callable
        Takes the chain and returns the `Plan` to place it with.

    Returns
    -------
    chain, plan, subwords
    """
    chain = translation_chain(ModelOptions(**checkpoint.read(found)["model"]))
    plan = plan_for(chain)
    checkpoint.load_chain(found, chain, plan)
    return chain, plan, Subwords.load(found)
