"""Search schedule, micro-batches, time chunks and plan together, by simulation."""
from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Callable, List, Optional, Sequence, Tuple

from ..schedule import SCHEDULES, Schedule
from .cost import LayerCost, stage_bytes
from .device import Link
from .plan import Plan
from .planner import Misfit, balance
from .simulator import NO_LINK, Simulation, most_live, simulate

Costs = Callable[[int, int], Sequence[LayerCost]]
"""The layers' costs for one unit, by the numbers of micro-batches and time chunks that a batch is cut into."""


@dataclass(frozen=True)
class Choice:
    """One way to run a step, and what it would bring.

    Parameters
    ----------
    schedule : str
        Its name.
    num_microbatches, num_chunks : int
        How the batch is cut.
    simulation : Simulation
        Plan, times and memory.
    """

    schedule: str
    num_microbatches: int
    num_chunks: int
    simulation: Simulation

    @property
    def plan(self) -> Plan:
        """Layers per context."""
        return self.simulation.plan

    @property
    def seconds(self) -> float:
        """Length of the step, in seconds."""
        return self.simulation.seconds


def tune(costs: Costs, contexts: Sequence[Any], num_microbatches: Sequence[int] = (1, 2, 4, 8, 16),
         num_chunks: Sequence[int] = (1,), schedules: Sequence[str] = tuple(SCHEDULES),
         memory_limit: Optional[float] = None, transfer: Link = NO_LINK, optimizer_states: int = 2) -> List[Choice]:
    """Find the fastest way to run a step on given contexts, in the simulation.

    For each schedule and each way to cut the batch, the planner's plan is simulated, and layers then move between
    neighbours as long as that makes the step shorter: the slowest stage decides in the middle of a step, but not at
    its ends.

    Parameters
    ----------
    costs : callable
        ``costs(num_microbatches, num_chunks)`` gives the layers' costs for one unit of a batch that is cut so, seconds
        included: `Profile.costs`, for example.
    contexts : sequence of mx.Context
        All of them get layers.
    num_microbatches : sequence of int
        Numbers of micro-batches to try.
    num_chunks : sequence of int
        Numbers of time chunks to try.
    schedules : sequence of str
        Names of schedules.
    memory_limit : float or None
        Bytes that each context can hold.
    transfer : Link
        Between neighbouring contexts.
    optimizer_states : int, default 2
        Arrays that the optimizer keeps for each parameter.

    Returns
    -------
    list of Choice
        The fastest first; of equally fast ones the one that holds less. Each has ``schedule`` (its name),
        ``num_microbatches``, ``num_chunks``, ``plan``, ``seconds`` (of a step) and ``simulation``.

    Raises
    ------
    ValueError
        If there are fewer layers than contexts, or ``costs`` does not know a way to cut the batch.
    Misfit
        If nothing fits; a ValueError that says what the tightest needs, and what would fit.
    """
    choices, misfits = [], []
    for name, m, c in product(schedules, num_microbatches, num_chunks):
        if name == "wavefront" and c == 1 and "fill_drain" in schedules:
            continue  # the two are one then
        schedule, layers = SCHEDULES[name](len(contexts), m, c), costs(m, c)
        try:
            plan = plan_for(schedule, layers, contexts, memory_limit, transfer, optimizer_states)
        except Misfit as error:
            misfits.append(error)
            continue
        choices.append(Choice(name, m, c, _improved(schedule, layers, plan, memory_limit, transfer, optimizer_states)))
    if not choices:
        tightest = min(misfits, key=lambda error: error.fill)
        raise Misfit(f"{tightest} (bytes); " + _remedies(costs, contexts, max(num_microbatches), num_chunks[0],
                                                       memory_limit, optimizer_states), tightest.fill)
    return sorted(choices, key=lambda choice: (choice.seconds, max(choice.simulation.peak_bytes)))


def plan_for(schedule: Schedule, costs: Sequence[LayerCost], contexts: Sequence[Any],
             memory_limit: Optional[float] = None, transfer: Link = NO_LINK, optimizer_states: int = 2) -> Plan:
    """The plan whose slowest stage is fastest, for the memory that a schedule's stages need."""
    live = [most_live(units) for units in schedule]
    return Plan(tuple(balance(
        [cost.work for cost in costs], len(contexts),
        None if memory_limit is None else lambda stage, part: stage_bytes(costs, part, live[stage], optimizer_states),
        memory_limit, [transfer.seconds(cost.sent_bytes) for cost in costs[:-1]])), tuple(contexts))


def _remedies(costs: Costs, contexts: Sequence[Any], m: int, c: int, memory_limit: Optional[float],
              optimizer_states: int) -> str:
    """What would fit, each by trying it."""
    helps = []
    for times, more in ((1, 0), (2, 0), (4, 0), (1, 1)):
        room = [*contexts, *[contexts[-1]] * more]
        try:
            plan_for(SCHEDULES["1f1b"](len(room), times * m, c), costs(times * m, c), room, memory_limit, NO_LINK,
                     optimizer_states)
        except ValueError:  # it does not fit either, or was not measured
            continue
        helps.append(f"{times * m} micro-batches on {len(room)} contexts")
    return f"it would fit with 1f1b and {', or '.join(helps)}" if helps else (
        "neither 1f1b, nor four times as many micro-batches, nor one more context would make it fit")


def _improved(schedule: Schedule, costs: Sequence[LayerCost], plan: Plan, memory_limit: Optional[float],
              transfer: Link, optimizer_states: int) -> Simulation:
    """Move single layers to a neighbour as long as the step gets shorter and all fits."""
    best = simulate(schedule, costs, plan, transfer, optimizer_states)
    while True:
        tried = [simulate(schedule, costs, Plan(counts, plan.contexts), transfer, optimizer_states)
                 for counts in _neighbours(best.plan.counts)]
        better = [s for s in tried if s.seconds < best.seconds and max(s.peak_bytes) <= (memory_limit or float("inf"))]
        if not better:
            return best
        best = min(better, key=lambda s: s.seconds)


def _neighbours(counts: Sequence[int]) -> List[Tuple[int, ...]]:
    """Plans with one layer moved over one cut."""
    plans = []
    for i in range(len(counts) - 1):
        for step in (-1, 1):
            moved = list(counts)
            moved[i] += step
            moved[i + 1] -= step
            if min(moved) >= 1:
                plans.append(tuple(moved))
    return plans
