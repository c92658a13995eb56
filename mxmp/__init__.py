"""Model-parallel LSTMs in MXNet Gluon: layers on several contexts, run as a pipeline."""
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Pipeline", "Plan", "Trainer", "data", "nn", "parse_contexts", "pipeline", "planning",
           "runtime", "schedule", "tasks"]

if TYPE_CHECKING:
    from .contexts import parse_contexts
    from .pipeline import Pipeline, Trainer
    from .planning import Plan

# Looked up on first use, so that `mxmp.runtime` can be imported, and can set what it must, before MXNet loads.
_HOME = {"Pipeline": "pipeline", "Plan": "planning", "Trainer": "pipeline", "parse_contexts": "contexts"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module("." + _HOME[name], __name__), name)
    if name in __all__:
        return import_module("." + name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
