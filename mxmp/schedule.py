"""Schedules: for every stage the ordered units it works on, and what these wait for. Pure functions, without MXNet."""
from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Set

__all__ = ["fill_drain", "forward_only", "grid", "ideal_speedup", "in_order", "needs", "one_f_one_b", "rounds",
           "Schedule", "SCHEDULES", "Span", "Unit", "wavefront"]


class Unit(NamedTuple):
    """One stage's work on one micro-batch's time chunk; its text is as in `grid`, ``F0.1``.

    Attributes
    ----------
    kind : str
        "F" (forward) or "B" (backward).
    stage, microbatch, chunk : int
        From 0 each.
    """

    kind: str
    stage: int
    microbatch: int
    chunk: int = 0

    def __str__(self) -> str:
        return f"{self.kind}{self.microbatch}" + (f".{self.chunk}" if self.chunk else "")


class Span(NamedTuple):
    """A unit with its start and end.

    Attributes
    ----------
    unit : Unit
        Which one.
    start, end : float
        Seconds since the recording, or the simulated step, began.
    """

    unit: Unit
    start: float
    end: float


Schedule = List[List[Unit]]
"""Each stage's units in the order in which it does them."""


def fill_drain(num_stages: int, num_microbatches: int, num_chunks: int = 1) -> Schedule:
    """All forward units, then all backward units in reverse: GPipe (Huang et al. 2019, section 2.3).

    Diagram for 3 stages, 4 micro-batches:

        stage 0  F0 F1 F2 F3 .  .  .  .  B3 B2 B1 B0
        stage 1  .  F0 F1 F2 F3 .  .  B3 B2 B1 B0 .
        stage 2  .  .  F0 F1 F2 F3 B3 B2 B1 B0 .  .

    Each stage keeps the activations of all micro-batches until its backward units begin.

    Parameters
    ----------
    num_stages, num_microbatches : int
        At least 1 each.
    num_chunks : int, default 1
        Time chunks of each micro-batch; a micro-batch's chunks follow each other.

    Returns
    -------
    list of list of Unit
        Each stage's units in order.

    Raises
    ------
    ValueError
        If a size is below 1.
    """
    _check(num_stages, num_microbatches, num_chunks)
    order = range(num_microbatches)
    return [[u for m in order for u in _forward(stage, m, num_chunks)]
            + [u for m in reversed(order) for u in _backward(stage, m, num_chunks)] for stage in range(num_stages)]


def one_f_one_b(num_stages: int, num_microbatches: int, num_chunks: int = 1) -> Schedule:
    """Each backward unit as early as it can be: 1F1B with a flush (Narayanan et al. 2021, PipeDream-2BW, section 3.2).

    Diagram for 3 stages, 4 micro-batches:

        stage 0  F0 F1 F2 .  .  B0 F3 B1 .  B2 .  B3
        stage 1  .  F0 F1 .  B0 F2 B1 F3 B2 .  B3 .
        stage 2  .  .  F0 B0 F1 B1 F2 B2 F3 B3 .  .

    As long as fill-drain, but stage s of S keeps the activations of S - s micro-batches at most, however many
    there are. It takes ``num_stages``, ``num_microbatches`` and ``num_chunks``, and returns and raises what
    `fill_drain` does.
    """
    _check(num_stages, num_microbatches, num_chunks)
    schedule = []
    for stage in range(num_stages):
        ahead = min(num_stages - stage - 1, num_microbatches)
        units = [u for m in range(ahead) for u in _forward(stage, m, num_chunks)]
        for m in range(num_microbatches):
            if m + ahead < num_microbatches:
                units += _forward(stage, m + ahead, num_chunks)
            units += _backward(stage, m, num_chunks)
        schedule.append(units)
    return schedule


def wavefront(num_stages: int, num_microbatches: int, num_chunks: int = 1) -> Schedule:
    """All micro-batches' first time chunk, then their second, and so on; backward units in reverse.

    Diagram for 3 stages, 1 micro-batch, 4 chunks, whose dependencies run along the time axis within a stage and from
    stage to stage (Appleyard et al. 2016, "Optimizing Performance of Recurrent Neural Networks on GPUs", run the
    layers of a stack in this way):

        stage 0  F0.0 F0.1 F0.2 F0.3 .    .    .    .    B0.3 B0.2 B0.1 B0.0
        stage 1  .    F0.0 F0.1 F0.2 F0.3 .    .    B0.3 B0.2 B0.1 B0.0 .
        stage 2  .    .    F0.0 F0.1 F0.2 F0.3 B0.3 B0.2 B0.1 B0.0 .    .

    Even one micro-batch keeps all stages busy, without cutting its rows. It takes ``num_stages``,
    ``num_microbatches`` and ``num_chunks``, and returns and raises what `fill_drain` does.
    """
    _check(num_stages, num_microbatches, num_chunks)
    order = [(m, t) for t in range(num_chunks) for m in range(num_microbatches)]
    return [[Unit("F", stage, m, t) for m, t in order] + [Unit("B", stage, m, t) for m, t in reversed(order)]
            for stage in range(num_stages)]


def forward_only(num_stages: int, num_microbatches: int, num_chunks: int = 1) -> Schedule:
    """The forward units alone, for evaluation.

    It takes ``num_stages``, ``num_microbatches`` and ``num_chunks``, and returns and raises what `fill_drain` does.
    """
    _check(num_stages, num_microbatches, num_chunks)
    return [[u for m in range(num_microbatches) for u in _forward(stage, m, num_chunks)]
            for stage in range(num_stages)]


SCHEDULES: Dict[str, Callable[[int, int, int], Schedule]] = {
    "1f1b": one_f_one_b, "fill_drain": fill_drain, "wavefront": wavefront}
"""The schedules that train, by the names that `Pipeline` takes; dict of str to function."""


def ideal_speedup(num_stages: int, num_microbatches: int, num_chunks: int = 1) -> float:
    """The highest speed-up over one stage: S * K / (K + S - 1) for K micro-batches times chunks, S equal stages.

    All three schedules take K + S - 1 rounds in each direction where one stage takes S * K (Huang et al. 2019,
    section 2.3: a bubble of (S - 1) / (K + S - 1)).

    Parameters
    ----------
    num_stages, num_microbatches : int
        S and, with ``num_chunks``, K; at least 1 each.
    num_chunks : int, default 1
        Time chunks of each micro-batch.

    Returns
    -------
    float
        From 1 to S.

    Raises
    ------
    ValueError
        If a size is below 1.
    """
    _check(num_stages, num_microbatches, num_chunks)
    pieces = num_microbatches * num_chunks
    return num_stages * pieces / (pieces + num_stages - 1)


def needs(unit: Unit, num_stages: int, num_chunks: int) -> List[Unit]:
    """The units whose results a ``unit`` takes, of ``num_stages`` stages and ``num_chunks`` chunks.

    A forward unit takes the stage before's output and its own stage's state from the chunk before; a backward unit
    takes its forward unit's activations, the stage after's gradient and the gradient of the state that the chunk
    after began with.
    """
    kind, stage, m, t = unit
    if kind == "F":
        return [u for u in (Unit("F", stage - 1, m, t), Unit("F", stage, m, t - 1)) if u.stage >= 0 and u.chunk >= 0]
    later = (Unit("B", stage + 1, m, t), Unit("B", stage, m, t + 1))
    return [Unit("F", stage, m, t)] + [u for u in later if u.stage < num_stages and u.chunk < num_chunks]


def rounds(schedule: Schedule) -> List[List[Optional[Unit]]]:
    """When every unit runs if each takes one round.

    Parameters
    ----------
    schedule : list of list of Unit
        Each stage's units in order.

    Returns
    -------
    list of list of (Unit or None)
        Of every round each stage's unit, or None where it waits.

    Raises
    ------
    ValueError
        If the schedule cannot run: a unit waits for one that never comes before it.
    """
    queues = [list(reversed(units)) for units in schedule]
    num_chunks = 1 + max((unit.chunk for units in schedule for unit in units), default=0)
    done: Set[Unit] = set()
    rows: List[List[Optional[Unit]]] = []
    while any(queues):
        row = [queue[-1] if queue and done.issuperset(needs(queue[-1], len(schedule), num_chunks)) else None
               for queue in queues]
        if not any(row):
            raise ValueError("the schedule cannot run: " + ", ".join(
                f"stage {queue[-1].stage} waits before {queue[-1]}" for queue in queues if queue))
        for queue, unit in zip(queues, row):
            if unit is not None:
                queue.pop()
        done.update(unit for unit in row if unit is not None)
        rows.append(row)
    return rows


def in_order(schedule: Schedule) -> List[Unit]:
    """All units of a ``schedule`` in one order in which each comes after what it needs; errors as of `rounds`."""
    return [unit for row in rounds(schedule) for unit in row if unit is not None]


def grid(schedule: Schedule) -> str:
    """The ``schedule`` as text: stages down, rounds across, a dot where a stage waits; errors as of `rounds`."""
    rows = rounds(schedule)
    chunked = any(unit.chunk for units in schedule for unit in units)
    cells = [["." if row[stage] is None else _label(row[stage], chunked) for row in rows]
             for stage in range(len(schedule))]
    width = max((len(cell) for line in cells for cell in line), default=0)
    return "\n".join(f"stage {i}  " + " ".join(cell.ljust(width) for cell in line).rstrip()
                     for i, line in enumerate(cells))


def _label(unit: Optional[Unit], chunked: bool) -> str:
    return f"{unit}.0" if unit is not None and chunked and not unit.chunk else str(unit)


def _forward(stage: int, microbatch: int, num_chunks: int) -> List[Unit]:
    return [Unit("F", stage, microbatch, t) for t in range(num_chunks)]


def _backward(stage: int, microbatch: int, num_chunks: int) -> List[Unit]:
    return [Unit("B", stage, microbatch, t) for t in reversed(range(num_chunks))]


def _check(num_stages: int, num_microbatches: int, num_chunks: int) -> None:
    if min(num_stages, num_microbatches, num_chunks) < 1:
        raise ValueError(f"a schedule needs at least 1 stage, 1 micro-batch and 1 chunk, got {num_stages}, "
                         f"{num_microbatches} and {num_chunks}")
