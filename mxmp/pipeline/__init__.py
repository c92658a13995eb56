"""Run a chain of layers as a pipeline over several contexts."""
from .. import runtime
from .pipeline import Pipeline
from .schedule import SCHEDULES, Schedule, Unit, fill_drain, forward_only, ideal_speedup, one_f_one_b, wavefront
from .simulator import Simulation, simulate
from .timeline import Timeline
from .trainer import Trainer
from .turns import grid, in_order

runtime.advise()

__all__ = ["fill_drain", "forward_only", "grid", "ideal_speedup", "in_order", "one_f_one_b", "Pipeline", "Schedule",
           "SCHEDULES", "simulate", "Simulation", "Timeline", "Trainer", "Unit", "wavefront"]
