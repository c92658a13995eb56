"""Search schedule, micro-batches, time chunks and plan together, by simulation."""
from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Callable, List, Optional, Sequence, Tuple

from ..schedule import SCHEDULES, Schedule, rows_of_stages, stream
from .cost import LayerCost
from .device import Link
from .plan import Plan
from .planner import balance
from .segments import Misfit
from .simulator import NO_LINK, Simulation, row_bytes, simulate

_EXACT = tuple(name for name in SCHEDULES if name != "continuous")
_STEPS = 4  # of a stream: those at its ends have a bubble
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
         num_chunks: Sequence[int] = (1,), schedules: Sequence[str] = _EXACT,
         memory_limit: Optional[float] = None, transfer: Link = NO_LINK, optimizer_states: int = 2,
         stages_per_context: Sequence[int] = (2,)) -> List[Choice]:
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
        Names of schedules; by default all but "continuous", whose gradients are applied a step late.
    memory_limit : float or None
        Bytes that each context can hold.
    transfer : Link
        Between neighbouring contexts.
    optimizer_states : int, default 2
        Arrays that the optimizer keeps for each parameter.
    stages_per_context : sequence of int
        Numbers of stages to try on each of several contexts where these are interleaved; those that leave a stage
        without a layer are left out.

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
    for name, m, c, each in product(schedules, num_microbatches, num_chunks, stages_per_context):
        if name != "interleaved" and each != stages_per_context[0]:
            continue  # they have one stage per context
        if name == "wavefront" and c == 1 and "fill_drain" in schedules:
            continue  # the two are one then
        layers, places = costs(m, c), tuple(contexts) * (each if name == "interleaved" else 1)
        takes_turns = 1 < len(contexts) and len(places) <= len(layers)
        if name == "interleaved" and not takes_turns and set(schedules) != {name}:
            continue
        streaming = name == "continuous"
        schedule = stream(places, m, c, _STEPS) if streaming else SCHEDULES[name](places, m, c)
        try:
            plans = plans_for(schedule, layers, places, memory_limit, transfer, optimizer_states + 2 * streaming)
        except Misfit as error:
            misfits.append(error)
            continue
        run = partial(simulate, schedule, layers, transfer=transfer, optimizer_states=optimizer_states,
                      stream=m if streaming else 0)
        choices.append(Choice(name, m, c, _improved(run, plans, memory_limit)))
    if not choices:
        tightest = min(misfits, key=lambda error: error.fill)
        raise Misfit(f"{tightest} (bytes); " + _remedies(costs, contexts, max(num_microbatches), num_chunks[0],
                                                       memory_limit, optimizer_states), tightest.fill)
    return sorted(choices, key=lambda choice: (choice.seconds, max(choice.simulation.peak_bytes)))


def plans_for(schedule: Schedule, costs: Sequence[LayerCost], places: Sequence[Any],
              memory_limit: Optional[float] = None, transfer: Link = NO_LINK, optimizer_states: int = 2) -> List[Plan]:
    """The plan whose slowest row of the schedule is fastest, for the memory that a row needs, with its stages at these
    ``places``; where rows have several stages, also that whose slowest stage is, whatever memory it needs."""
    work, sent = [cost.work for cost in costs], [transfer.seconds(cost.sent_bytes) for cost in costs[:-1]]
    rows = rows_of_stages(schedule)
    each = len(rows) // len(schedule)

    def held(row: int, parts: Any) -> float:
        known = dict(zip((stage for stage in range(len(rows)) if rows[stage] == row), parts if each > 1 else [parts]))
        return row_bytes(costs, known, [unit for unit in schedule[row] if unit.stage in known], optimizer_states)

    cuts = [balance(work, len(schedule), None if memory_limit is None else held, memory_limit, sent,
                    stages_per_context=each)]
    if each > 1:
        cuts.append(balance(work, len(rows), transfer=sent))
    return [Plan(tuple(counts), tuple(places)) for counts in cuts]


def _remedies(costs: Costs, contexts: Sequence[Any], m: int, c: int, memory_limit: Optional[float],
              optimizer_states: int) -> str:
    """What would fit, each by trying it."""
    helps = []
    for times, more in ((1, 0), (2, 0), (4, 0), (1, 1)):
        room = [*contexts, *[contexts[-1]] * more]
        try:
            plans_for(SCHEDULES["1f1b"](len(room), times * m, c), costs(times * m, c), room, memory_limit, NO_LINK,
                      optimizer_states)
        except ValueError:  # it does not fit either, or was not measured
            continue
        helps.append(f"{times * m} micro-batches on {len(room)} contexts")
    return f"it would fit with 1f1b and {', or '.join(helps)}" if helps else (
        "neither 1f1b, nor four times as many micro-batches, nor one more context would make it fit")


def _improved(run: Callable[[Plan], Simulation], plans: Sequence[Plan], memory_limit: Optional[float]) -> Simulation:
    """Begin with the fastest of the plans, and move single layers to a neighbour as long as the step gets shorter and
    all fits, which the first plan does."""
    limit = memory_limit or float("inf")

    def fastest(tried: Sequence[Plan]) -> Optional[Simulation]:
        return min((s for s in map(run, tried) if max(s.peak_bytes) <= limit), key=lambda s: s.seconds, default=None)

    best = fastest(plans) or run(plans[0])
    while True:
        better = fastest([Plan(counts, best.plan.contexts) for counts in _neighbours(best.plan.counts)])
        if better is None or better.seconds >= best.seconds:
            return best
        best = better


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
