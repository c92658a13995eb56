"""Run a chain of layers as a pipeline over several contexts."""
from .. import runtime
from .pipeline import Pipeline
from .schedule import Schedule, Unit, fill_drain, forward_only, ideal_speedup, one_f_one_b, wavefront
from .timeline import Timeline
from .trainer import Trainer
from .turns import grid, in_order

runtime.advise()

__all__ = ["Pipeline", "Schedule", "Timeline", "Trainer", "Unit", "fill_drain", "forward_only", "grid",
           "ideal_speedup", "in_order", "one_f_one_b", "wavefront"]
