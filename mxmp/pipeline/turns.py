"""What a schedule's units wait for, and so in which turn each can run."""
from __future__ import annotations

from typing import List, Optional, Set

from .schedule import Schedule, Unit


def needs(unit: Unit, num_stages: int, num_chunks: int) -> List[Unit]:
    """The units whose results a unit takes.

    A forward unit takes the stage before's output and its own stage's state from the chunk before; a backward unit
    takes its forward unit's activations, the stage after's gradient and the gradient of the state that the chunk
    after began with.
    """
    kind, stage, m, t = unit
    if kind == "F":
        return [u for u in (Unit("F", stage - 1, m, t), Unit("F", stage, m, t - 1)) if u.stage >= 0 and u.chunk >= 0]
    later = (Unit("B", stage + 1, m, t), Unit("B", stage, m, t + 1))
    return [Unit("F", stage, m, t)] + [u for u in later if u.stage < num_stages and u.chunk < num_chunks]


def turns(schedule: Schedule) -> List[List[Optional[Unit]]]:
    """When every unit runs if each takes one turn: for every turn each stage's unit, or None where it waits.

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
    """All stages' units in one order in which each comes after what it needs.

    Parameters
    ----------
    schedule : list of list of Unit
        Each stage's units in order.

    Returns
    -------
    list of Unit

    Raises
    ------
    ValueError
        If the schedule cannot run: a unit waits for one that never comes before it.
    """
    return [unit for row in turns(schedule) for unit in row if unit is not None]


def grid(schedule: Schedule) -> str:
    """The ``schedule`` as text: stages down, turns across, a dot where a stage waits; errors as of `in_order`."""
    rows = turns(schedule)
    chunked = any(unit.chunk for units in schedule for unit in units)
    cells = [["." if row[stage] is None else _label(row[stage], chunked) for row in rows]
             for stage in range(len(schedule))]
    width = max((len(cell) for line in cells for cell in line), default=0)
    return "\n".join(f"stage {i}  " + " ".join(cell.ljust(width) for cell in line).rstrip()
                     for i, line in enumerate(cells))


def _label(unit: Optional[Unit], chunked: bool) -> str:
    return f"{unit}.0" if unit is not None and chunked and not unit.chunk else str(unit)
