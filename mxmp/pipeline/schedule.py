"""Schedules: for every stage the ordered units it works on. Pure functions, no MXNet in them."""
from __future__ import annotations

from typing import List, NamedTuple


class Unit(NamedTuple):
    """One stage's work on one micro-batch; ``kind`` is "F" (forward) or "B" (backward)."""

    kind: str
    stage: int
    microbatch: int

    def __str__(self) -> str:
        return f"{self.kind}{self.microbatch}"


def fill_drain(num_stages: int, num_microbatches: int) -> List[List[Unit]]:
    """All forward units, then all backward units in reverse: GPipe (Huang et al. 2019, section 2.3).

    Diagram for 3 stages, 4 micro-batches::

        stage 0  F0 F1 F2 F3 .  .  .  .  B3 B2 B1 B0
        stage 1  .  F0 F1 F2 F3 .  .  B3 B2 B1 B0 .
        stage 2  .  .  F0 F1 F2 F3 B3 B2 B1 B0 .  .

    With forward and backward units of one length each, a step takes M + S - 1 of each instead of S * M on one
    context: a speed-up of S * M / (M + S - 1).
    """
    _check(num_stages, num_microbatches)
    order = range(num_microbatches)
    return [[Unit("F", stage, m) for m in order] + [Unit("B", stage, m) for m in reversed(order)]
            for stage in range(num_stages)]


def forward_only(num_stages: int, num_microbatches: int) -> List[List[Unit]]:
    """The forward units alone, for evaluation."""
    _check(num_stages, num_microbatches)
    return [[Unit("F", stage, m) for m in range(num_microbatches)] for stage in range(num_stages)]


def grid(schedule: List[List[Unit]]) -> str:
    """The schedule as text: stages down, time across, a dot where a stage waits; every unit takes one step."""
    num_stages = len(schedule)
    queues = [list(units) for units in schedule]
    done, rows = set(), [[] for _ in schedule]  # type: ignore[var-annotated]
    while any(queues):
        ready = [units[0] if units and _ready(units[0], done, num_stages) else None for units in queues]
        if not any(ready):
            raise ValueError("the schedule cannot run: " + ", ".join(
                f"stage {u[0].stage} waits before {u[0]}" for u in queues if u))
        for row, units, unit in zip(rows, queues, ready):
            row.append(str(unit) if unit else ".")
            if unit:
                done.add(units.pop(0))
    width = max(len(cell) for row in rows for cell in row)
    return "\n".join(f"stage {i}  " + " ".join(cell.ljust(width) for cell in row).rstrip()
                     for i, row in enumerate(rows))


def _ready(unit: Unit, done: set, num_stages: int) -> bool:
    """Whether what a unit needs from its neighbours, and from its own forward pass, is done."""
    kind, stage, microbatch = unit
    if kind == "F":
        return stage == 0 or Unit("F", stage - 1, microbatch) in done
    return Unit("F", stage, microbatch) in done and (
        stage == num_stages - 1 or Unit("B", stage + 1, microbatch) in done)


def _check(num_stages: int, num_microbatches: int) -> None:
    if num_stages < 1 or num_microbatches < 1:
        raise ValueError(f"a schedule needs at least 1 stage and 1 micro-batch, got {num_stages} stages and "
                         f"{num_microbatches} micro-batches")
