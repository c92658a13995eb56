"""Schedules: the order in which units are done, and what these wait for. Pure functions, without MXNet."""
from .orders import (
    SCHEDULES,
    continuous,
    fill_drain,
    forward_only,
    ideal_speedup,
    interleaved,
    one_f_one_b,
    stream,
    wavefront,
)
from .units import Schedule, Span, Unit, by_stage, grid, in_order, needs, recomputed, rounds, rows_of_stages

__all__ = ["by_stage", "continuous", "fill_drain", "forward_only", "grid", "ideal_speedup", "in_order", "interleaved",
           "needs", "one_f_one_b", "recomputed", "rounds", "rows_of_stages", "Schedule", "SCHEDULES", "Span", "stream",
           "Unit", "wavefront"]
