"""Run a schedule without running anything: when would each unit start and end, and what would a stage hold?"""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Dict, List, Sequence, Tuple

from ..pictures import draw_units
from ..schedule import Schedule, Span, Unit, in_order, needs
from .cost import LayerCost, stage_bytes
from .device import Link
from .plan import Plan

NO_LINK = Link()


@dataclass(frozen=True)
class Simulation:
    """A simulated step, made by `simulate`.

    Parameters
    ----------
    plan : Plan
        Layers per context.
    spans : tuple of Span
        Each unit with its start and end, in seconds.
    peak_bytes : tuple of int
        Of each context: parameters, gradients, optimizer's states and the activations it holds at once.
    """

    plan: Plan
    spans: Tuple[Span, ...]
    peak_bytes: Tuple[int, ...]

    @property
    def seconds(self) -> float:
        """Length of the step, in seconds."""
        return max(span.end for span in self.spans)

    @property
    def busy_shares(self) -> List[float]:
        """Of each stage, the share of the step in which it works, 0 to 1."""
        return [sum(span.end - span.start for span in self.spans if span.unit.stage == stage) / (self.seconds or 1.0)
                for stage in range(len(self.plan.counts))]

    @property
    def bubble(self) -> float:
        """Share of contexts x time in which contexts wait, 0 to 1."""
        return 1 - sum(self.busy_shares) / len(set(self.plan.contexts))

    def save(self, path: str) -> None:
        """Draw it to ``path`` as `Timeline.save` draws a recording."""
        draw_units(path, self.spans, list(map(str, self.plan.contexts)),
             f"plan {self.plan}: {1e3 * self.seconds:.0f} ms a step, {self.bubble:.0%} of it bubble (simulated)")


def simulate(schedule: Schedule, costs: Sequence[LayerCost], plan: Plan, transfer: Link = NO_LINK,
             optimizer_states: int = 2) -> Simulation:
    """Simulate one training or evaluation step, event by event.

    A unit starts when its stage has ended the unit before, its context is free, and all that it needs is there: what
    another context made, after its way over the link. Stages that share a context take turns, first come first
    served. Transfers take nothing from the contexts' own work.

    Parameters
    ----------
    schedule : list of list of Unit
        What a pipeline would run: of ``SCHEDULES[name](num_stages, num_microbatches, num_chunks)``.
    costs : sequence of LayerCost
        Of every layer for one unit, with seconds.
    plan : Plan
        Layers per context.
    transfer : Link
        Between neighbouring contexts.
    optimizer_states : int, default 2
        Arrays that the optimizer keeps for each parameter.

    Returns
    -------
    Simulation
        Of a step without the optimizer's update.

    Raises
    ------
    ValueError
        If the three do not fit each other, a layer has no seconds, or the schedule cannot run.
    """
    _check(schedule, costs, plan)
    in_order(schedule)  # refuses one that cannot run
    peaks = (stage_bytes(costs, part, most_live(units), optimizer_states)
             for part, units in zip(plan.ranges, schedule))
    return Simulation(plan, tuple(_spans(schedule, costs, plan, transfer)), tuple(peaks))


def _spans(schedule: Schedule, costs: Sequence[LayerCost], plan: Plan, transfer: Link) -> List[Span]:
    """Every unit's start and end."""
    seconds = {kind: _stage_seconds(costs, plan, kind) for kind in "FB"}
    sent = [transfer.seconds(costs[part.stop - 1].sent_bytes) for part in plan.ranges]
    num_chunks = 1 + max(unit.chunk for units in schedule for unit in units)
    queues = [deque(units) for units in schedule]
    free = dict.fromkeys(plan.contexts, 0.0)
    ends: Dict[Unit, float] = {}
    spans = []

    def start(unit: Unit) -> float:
        """When it can start, of what is known now."""
        times = [free[plan.contexts[unit.stage]]]
        for other in needs(unit, len(schedule), num_chunks):
            apart = plan.contexts[other.stage] != plan.contexts[unit.stage]
            times.append(ends.get(other, inf) + (sent[min(unit.stage, other.stage)] if apart else 0.0))
        return max(times)

    while any(queues):
        begin, unit = min((start(queue[0]), queue[0]) for queue in queues if queue)
        queues[unit.stage].popleft()
        ends[unit] = free[plan.contexts[unit.stage]] = begin + seconds[unit.kind][unit.stage]
        spans.append(Span(unit, begin, ends[unit]))
    return spans


def most_live(units: Sequence[Unit]) -> int:
    """The most of a stage's ``units``, in order, whose activations it holds at once: gone forward and not yet back."""
    if all(unit.kind == "F" for unit in units):
        return 1  # nothing is kept for a backward pass
    live = most = 0
    for unit in units:
        live += 1 if unit.kind == "F" else -1
        most = max(most, live)
    return most


def _stage_seconds(costs: Sequence[LayerCost], plan: Plan, kind: str) -> List[float]:
    times = [(cost.forward if kind == "F" else cost.backward) or 0.0 for cost in costs]
    return [sum(times[i] for i in part) for part in plan.ranges]


def _check(schedule: Schedule, costs: Sequence[LayerCost], plan: Plan) -> None:
    if len(schedule) != len(plan.counts):
        raise ValueError(f"the schedule has {len(schedule)} stages, the plan {plan} has {len(plan.counts)}")
    if len(costs) != sum(plan.counts):
        raise ValueError(f"the plan {plan} places {sum(plan.counts)} layers, but there are costs of {len(costs)}")
    for cost in costs:
        if cost.forward is None or cost.backward is None:
            raise ValueError(f"layer {cost.name!r} has no seconds; measure them with planning.profile, or estimate "
                             "them with planning.estimate")
