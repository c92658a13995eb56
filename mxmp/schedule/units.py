"""Units of work, what they wait for, and when each runs: as rounds, and as a grid."""
from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple


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
"""Of each row the units in the order in which they are done: a stage's or, if interleaved, all of a context's."""


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


def by_stage(schedule: Schedule) -> Schedule:
    """Each stage's units of a ``schedule``, in their order."""
    stages: Dict[int, List[Unit]] = {}
    for unit in (unit for units in schedule for unit in units):
        stages.setdefault(unit.stage, []).append(unit)
    return [stages[stage] for stage in sorted(stages)]


def rows_of_stages(schedule: Schedule) -> List[int]:
    """Returns by stage the row of a ``schedule`` that its units are in."""
    return [row for _, row in sorted({(unit.stage, row) for row, units in enumerate(schedule) for unit in units})]


def recomputed(units: List[Unit]) -> Set[Unit]:
    """The forward units, of a stage's ``units`` in order, that recomputation runs again: not those whose backward unit
    comes next, for which nothing would be saved."""
    return {unit for unit, following in zip(units, units[1:])
            if unit.kind == "F" and following != unit._replace(kind="B")}


def rounds(schedule: Schedule, before: Iterable[Unit] = ()) -> List[List[Optional[Unit]]]:
    """When every unit runs if each takes one round.

    Parameters
    ----------
    schedule : list of list of Unit
        Each row's units in order.
    before : iterable of Unit
        Units that were done before the first round.

    Returns
    -------
    list of list of (Unit or None)
        Of every round each row's unit, or None where it waits.

    Raises
    ------
    ValueError
        If the schedule cannot run: a unit waits for one that never comes before it.
    """
    queues = [list(reversed(units)) for units in schedule]
    num_stages, num_chunks = num_stages_and_chunks(schedule)
    done = set(before)
    rows: List[List[Optional[Unit]]] = []
    while any(queues):
        row = [queue[-1] if queue and done.issuperset(needs(queue[-1], num_stages, num_chunks)) else None
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


def num_stages_and_chunks(schedule: Schedule) -> Tuple[int, int]:
    """How many there are."""
    units = [unit for row in schedule for unit in row]
    return 1 + max((unit.stage for unit in units), default=0), 1 + max((unit.chunk for unit in units), default=0)


def in_order(schedule: Schedule, before: Iterable[Unit] = ()) -> List[Unit]:
    """All units of a ``schedule`` in one order in which each comes after what it needs, if those ``before`` were done;
    errors as of `rounds`."""
    return [unit for row in rounds(schedule, before) for unit in row if unit is not None]


def grid(schedule: Schedule) -> str:
    """The ``schedule`` as text: stages down, rounds across, a dot where a stage waits; errors as of `rounds`.

    Where contexts have several stages, these go down, and a unit's stage stands before it: ``2F0``.
    """
    rows, labels = rounds(schedule), labelled(schedule)
    cells = [["." if unit is None else labels[unit] for unit in line] for line in zip(*rows)]
    width = max((len(cell) for line in cells for cell in line), default=0)
    name = "context" if len(by_stage(schedule)) > len(schedule) else "stage"
    return "\n".join(f"{name} {i}  " + " ".join(cell.ljust(width) for cell in line).rstrip()
                     for i, line in enumerate(cells))


def labelled(schedule: Schedule) -> Dict[Unit, str]:
    """Every unit's text in a grid: with its chunk if there are several, with its stage if one row has several."""
    chunked, staged = num_stages_and_chunks(schedule)[1] > 1, len(by_stage(schedule)) > len(schedule)
    return {unit: (str(unit.stage) if staged else "") + (f"{unit}.0" if chunked and not unit.chunk else str(unit))
            for units in schedule for unit in units}
