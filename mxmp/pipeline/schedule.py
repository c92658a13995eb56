"""Schedules: for every stage the ordered units it works on. Pure functions, no MXNet in them."""
from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple


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
    """Backward units as early as they can be: 1F1B with a flush (Narayanan et al. 2021, PipeDream-2BW, section 3.2).

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

    All three schedules take K + S - 1 turns in each direction where one stage takes S * K (Huang et al. 2019,
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

    Raises
    ------
    ValueError
        If a size is below 1.
    """
    _check(num_stages, num_microbatches, num_chunks)
    pieces = num_microbatches * num_chunks
    return num_stages * pieces / (pieces + num_stages - 1)


def _forward(stage: int, microbatch: int, num_chunks: int) -> List[Unit]:
    return [Unit("F", stage, microbatch, t) for t in range(num_chunks)]


def _backward(stage: int, microbatch: int, num_chunks: int) -> List[Unit]:
    return [Unit("B", stage, microbatch, t) for t in reversed(range(num_chunks))]


def _check(num_stages: int, num_microbatches: int, num_chunks: int) -> None:
    if min(num_stages, num_microbatches, num_chunks) < 1:
        raise ValueError(f"a schedule needs at least 1 stage, 1 micro-batch and 1 chunk, got {num_stages}, "
                         f"{num_microbatches} and {num_chunks}")
