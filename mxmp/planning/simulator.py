"""Run a schedule without running anything: when would each unit start and end, and what would a stage hold?"""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..pictures import draw_units
from ..schedule import Schedule, Span, Unit, by_stage, in_order, needs, recomputed, rows_of_stages
from .cost import LayerCost, activation_bytes, parameter_bytes, received_bytes
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
        Of each row of the schedule, a stage or the interleaved ones of a context: parameters, gradients, optimizer's
        states and the activations it holds at once.
    rows : tuple of int
        Of each stage, its row.
    stream : int, default 0
        Micro-batches of each of the steps that follow each other; 0 if there is one step only.
    """

    plan: Plan
    spans: Tuple[Span, ...]
    peak_bytes: Tuple[int, ...]
    rows: Tuple[int, ...]
    stream: int = 0

    @property
    def seconds(self) -> float:
        """Length of the step, in seconds; in a stream, from the end of the last step but two to that of the next."""
        ends = [max(span.end for span in step) for step in self._steps()]
        return ends[-2] - ends[-3] if self.stream else ends[-1]

    @property
    def busy_shares(self) -> List[float]:
        """Of each row, the share of a step's time in which it works, 0 to 1."""
        return [sum(span.end - span.start for span in self._steps()[0] if self.rows[span.unit.stage] == row)
                / (self.seconds or 1.0) for row in range(len(self.peak_bytes))]

    def _steps(self) -> List[List[Span]]:
        """The units of each step."""
        steps: Dict[int, List[Span]] = {}
        for span in self.spans:
            steps.setdefault(span.unit.microbatch // self.stream if self.stream else 0, []).append(span)
        return [steps[step] for step in sorted(steps)]

    @property
    def bubble(self) -> float:
        """Share of contexts x time in which contexts wait, 0 to 1."""
        return 1 - sum(self.busy_shares) / len(set(self.plan.contexts))

    def save(self, path: str) -> None:
        """Draw it to ``path`` as `Timeline.save` draws a recording."""
        names = [str(self.plan.contexts[self.rows.index(row)]) for row in range(len(self.peak_bytes))]
        draw_units(path, self.spans, names, f"plan {self.plan}: {1e3 * self.seconds:.0f} ms a step, {self.bubble:.0%} "
                   "of it bubble (simulated)", self.rows)


def simulate(schedule: Schedule, costs: Sequence[LayerCost], plan: Plan, transfer: Link = NO_LINK,
             optimizer_states: int = 2, stream: int = 0, recompute: bool = False) -> Simulation:
    """Simulate one training or evaluation step, or some that follow each other in a stream, event by event.

    A unit starts when the unit before it in its row has ended, its context is free, and all that it needs is there:
    what another context made, after its way over the link. Rows that share a context take turns, first come first
    served. Transfers take nothing from the contexts' own work.

    Parameters
    ----------
    schedule : list of list of Unit
        What a pipeline would run: of ``SCHEDULES[name](plan.contexts, num_microbatches, num_chunks)``.
    costs : sequence of LayerCost
        Of every layer for one unit, with seconds.
    plan : Plan
        Layers per context.
    transfer : Link
        Between neighbouring contexts.
    optimizer_states : int, default 2
        Arrays that the optimizer keeps for each parameter.
    stream : int, default 0
        Micro-batches of each step if the schedule is a `stream`, of at least three steps; parameters and gradients are
        there twice then.
    recompute : bool, default False
        As of `Pipeline`: a forward unit runs again before its backward unit, whose gradients it need not wait for.

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
    peaks = (row_bytes(costs, dict(enumerate(plan.ranges)), units, optimizer_states + (2 if stream else 0), recompute)
             for units in schedule)
    again = {u._replace(kind="B") for units in by_stage(schedule) for u in recomputed(units)} if recompute else set()
    return Simulation(plan, tuple(_spans(schedule, costs, plan, transfer, again)), tuple(peaks),
                      tuple(rows_of_stages(schedule)), stream)


def _spans(schedule: Schedule, costs: Sequence[LayerCost], plan: Plan, transfer: Link, again: Set[Unit]) -> List[Span]:
    """Every unit's start and end; those of ``again`` do their forward work, too, which need not wait for gradients."""
    seconds = {kind: _stage_seconds(costs, plan, kind) for kind in "FB"}
    sent = [transfer.seconds(costs[part.stop - 1].sent_bytes) for part in plan.ranges]
    num_chunks = 1 + max(unit.chunk for units in schedule for unit in units)
    queues, rows = [deque(units) for units in schedule], rows_of_stages(schedule)
    free = dict.fromkeys(plan.contexts, 0.0)
    ends: Dict[Unit, float] = {}
    spans = []

    def start(unit: Unit) -> float:
        """When it can start, of what is known now."""
        times = [free[plan.contexts[unit.stage]]]
        for other in needs(unit, len(plan.counts), num_chunks):
            apart = plan.contexts[other.stage] != plan.contexts[unit.stage]
            times.append(ends.get(other, inf) + (sent[min(unit.stage, other.stage)] if apart else 0.0))
        return max(times)

    while any(queues):
        begin, unit = min((start(queue[0]), queue[0]) for queue in queues if queue)
        queues[rows[unit.stage]].popleft()
        forward = seconds["F"][unit.stage] if unit in again else 0.0
        begin = max(begin - forward, free[plan.contexts[unit.stage]])
        ends[unit] = free[plan.contexts[unit.stage]] = begin + forward + seconds[unit.kind][unit.stage]
        spans.append(Span(unit, begin, ends[unit]))
    return spans


def row_bytes(costs: Sequence[LayerCost], parts: Mapping[int, range], units: Sequence[Unit],
              optimizer_states: int = 2, recompute: bool = False) -> int:
    """Bytes that a row's ``units`` need, whose stages have these ``parts`` of the layers; with ``recompute`` copies of
    inputs and the activations of one unit at a time."""
    stages = {unit.stage for unit in units}
    own = [costs[i] for stage in stages for i in parts[stage]]
    whole = {stage: activation_bytes(costs, parts[stage]) for stage in stages}
    kept = {stage: received_bytes(costs, parts[stage]) for stage in stages} if recompute else whole
    return parameter_bytes(own) * (2 + optimizer_states) + most_live(units, kept) + max(
        whole[stage] - kept[stage] for stage in stages)


def most_live(units: Sequence[Unit], sizes: Optional[Mapping[int, int]] = None) -> int:
    """The most of a row's ``units``, in order, whose activations it holds at once: gone forward and not yet back.

    With ``sizes`` by stage these add up.
    """
    kept = [1 if sizes is None else sizes[unit.stage] for unit in units]
    if all(unit.kind == "F" for unit in units):
        return max(kept, default=1)  # nothing is kept for a backward pass
    return max(accumulate(size if unit.kind == "F" else -size for unit, size in zip(units, kept)))


def _stage_seconds(costs: Sequence[LayerCost], plan: Plan, kind: str) -> List[float]:
    times = [(cost.forward if kind == "F" else cost.backward) or 0.0 for cost in costs]
    return [sum(times[i] for i in part) for part in plan.ranges]


def _check(schedule: Schedule, costs: Sequence[LayerCost], plan: Plan) -> None:
    num_stages = len(by_stage(schedule))
    if num_stages != len(plan.counts):
        raise ValueError(f"the schedule has {num_stages} stages, the plan {plan} has {len(plan.counts)}")
    if any(len({plan.contexts[unit.stage] for unit in units}) > 1 for units in schedule):
        raise ValueError("a row of the schedule has stages on several contexts of the plan "
                         f"({', '.join(map(str, plan.contexts))}); make it for these contexts")
    if len(costs) != sum(plan.counts):
        raise ValueError(f"the plan {plan} places {sum(plan.counts)} layers, but there are costs of {len(costs)}")
    for cost in costs:
        if cost.forward is None or cost.backward is None:
            raise ValueError(f"layer {cost.name!r} has no seconds; measure them with planning.profile, or estimate "
                             "them with planning.estimate")
