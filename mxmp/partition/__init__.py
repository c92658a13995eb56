"""Which layer goes where: costs, planner, plans."""
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .analytic import analytic
from .cost import LayerCost, parameter_bytes, stage_bytes
from .device import DEVICES, PCIE, Device, Link, estimate
from .plan import Plan
from .planner import Misfit, balance
from .profiles import Profile
from .profiling import profile
from .spanning import span

if TYPE_CHECKING:
    from ..pipeline.tune import tune

__all__ = ["analytic", "balance", "Device", "DEVICES", "estimate", "LayerCost", "Link", "Misfit", "parameter_bytes",
           "PCIE", "Plan", "Profile", "profile", "span", "stage_bytes", "tune"]


def __getattr__(name: str) -> Any:
    # A search over schedules needs the pipeline, on which nothing here depends: it is looked up where it is asked for.
    if name == "tune":
        return import_module("mxmp.pipeline.tune").tune
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
