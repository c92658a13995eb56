"""Run a chain of layers as a pipeline over several contexts."""
from .pipeline import Pipeline
from .schedule import Unit, fill_drain, forward_only, grid
from .timeline import Timeline
from .trainer import Trainer

__all__ = ["Pipeline", "Timeline", "Trainer", "Unit", "fill_drain", "forward_only", "grid"]
