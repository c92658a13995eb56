"""Run a chain of layers as a pipeline over several contexts."""
from .. import runtime
from .pipeline import Pipeline
from .staged_chain import StagedChain
from .timeline import Timeline
from .trainer import Trainer
from .watchdog import Watchdog

runtime.advise()

__all__ = ["Pipeline", "StagedChain", "Timeline", "Trainer", "Watchdog"]
