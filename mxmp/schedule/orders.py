"""The schedules: in which order the units are done. Each is a pure function of how a batch is cut and spread."""
from __future__ import annotations

from itertools import accumulate
from typing import Any, Callable, Dict, List, Sequence, Union

from ..sizes import even_sizes
from .units import Schedule, Unit

Stages = Union[int, Sequence[Any]]
"""How many stages there are, or each one's context."""


def fill_drain(stages: Stages, num_microbatches: int, num_chunks: int = 1) -> Schedule:
    """All forward units, then all backward units in reverse: GPipe (Huang et al. 2019, section 2.3).

    Diagram for 3 stages, 4 micro-batches:

        stage 0  F0 F1 F2 F3 .  .  .  .  B3 B2 B1 B0
        stage 1  .  F0 F1 F2 F3 .  .  B3 B2 B1 B0 .
        stage 2  .  .  F0 F1 F2 F3 B3 B2 B1 B0 .  .

    Each stage keeps the activations of all micro-batches until its backward units begin.

    Parameters
    ----------
    stages : int or sequence
        How many stages there are, at least 1, or the context of each, of which only `interleaved` makes anything.
    num_microbatches : int
        At least 1.
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
    num_stages = _checked(stages, num_microbatches, num_chunks)
    order = range(num_microbatches)
    return [[u for m in order for u in _forward(stage, m, num_chunks)]
            + [u for m in reversed(order) for u in _backward(stage, m, num_chunks)] for stage in range(num_stages)]


def one_f_one_b(stages: Stages, num_microbatches: int, num_chunks: int = 1) -> Schedule:
    """Each backward unit as early as it can be: 1F1B with a flush (Narayanan et al. 2021, PipeDream-2BW, section 3.2).

    Diagram for 3 stages, 4 micro-batches:

        stage 0  F0 F1 F2 .  .  B0 F3 B1 .  B2 .  B3
        stage 1  .  F0 F1 .  B0 F2 B1 F3 B2 .  B3 .
        stage 2  .  .  F0 B0 F1 B1 F2 B2 F3 B3 .  .

    As long as fill-drain, but stage s of S keeps the activations of S - s micro-batches at most, however many
    there are. It takes ``stages``, ``num_microbatches`` and ``num_chunks``, and returns and raises what `fill_drain`
    does.
    """
    return stream(stages, num_microbatches, num_chunks)


def stream(stages: Stages, num_microbatches: int, num_chunks: int = 1, steps: int = 1) -> Schedule:
    """Some equal ``steps`` that follow each other as in `continuous`, with their micro-batches numbered on.

    Parameters
    ----------
    stages : int or sequence
        As of `fill_drain`, and so are ``num_microbatches``, of each step, and ``num_chunks``.
    num_microbatches, num_chunks : int
        See above.
    steps : int, default 1
        How many.

    Returns
    -------
    list of list of Unit
        Each stage's units in order.

    Raises
    ------
    ValueError
        If a size is below 1.
    """
    num_stages = _checked(stages, num_microbatches if steps > 0 else steps, num_chunks)
    schedule = []
    for stage in range(num_stages):
        ahead = min(num_stages - stage - 1, num_microbatches)
        units = [u for m in range(ahead) for u in _forward(stage, m, num_chunks)]
        for m in range(steps * num_microbatches):
            if m + ahead < steps * num_microbatches:
                units += _forward(stage, m + ahead, num_chunks)
            units += _backward(stage, m, num_chunks)
        schedule.append(units)
    return schedule


def wavefront(stages: Stages, num_microbatches: int, num_chunks: int = 1) -> Schedule:
    """All micro-batches' first time chunk, then their second, and so on; backward units in reverse.

    Diagram for 3 stages, 1 micro-batch, 4 chunks, whose dependencies run along the time axis within a stage and from
    stage to stage (Appleyard et al. 2016, "Optimizing Performance of Recurrent Neural Networks on GPUs", run the
    layers of a stack in this way):

        stage 0  F0.0 F0.1 F0.2 F0.3 .    .    .    .    B0.3 B0.2 B0.1 B0.0
        stage 1  .    F0.0 F0.1 F0.2 F0.3 .    .    B0.3 B0.2 B0.1 B0.0 .
        stage 2  .    .    F0.0 F0.1 F0.2 F0.3 B0.3 B0.2 B0.1 B0.0 .    .

    Even one micro-batch keeps all stages busy, without cutting its rows. It takes ``stages``, ``num_microbatches``
    and ``num_chunks``, and returns and raises what `fill_drain` does.
    """
    num_stages = _checked(stages, num_microbatches, num_chunks)
    order = [(m, t) for t in range(num_chunks) for m in range(num_microbatches)]
    return [[Unit("F", stage, m, t) for m, t in order] + [Unit("B", stage, m, t) for m, t in reversed(order)]
            for stage in range(num_stages)]


def interleaved(stages: Stages, num_microbatches: int, num_chunks: int = 1) -> Schedule:
    """1F1B where each context has several stages, by turns (Narayanan et al. 2021, Megatron-LM, section 2.2).

    Diagram for 4 stages on 2 contexts, 4 micro-batches, with each unit's stage before it:

        context 0  0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 .   2B2 .   2B3 0B2 0B3
        context 1  .   1F0 1F1 3F0 3B0 3F1 3B1 1F2 1B0 1F3 1B1 3F2 3B2 3F3 3B3 1B2 1B3 .

    With v stages per context a unit takes a v-th of the time, and so do the corners in which contexts wait; copies
    between contexts are v times as many. Micro-batches go round the contexts in groups of as many as there are of
    these, or a few more where they do not divide. In full turn context r of S has 2 (S - r - 1) + 1 units' activations
    and a group's for each of its stages but one: of context 0 that is 1 + (S - 1) / (S v) times what 1F1B keeps there.

    Parameters
    ----------
    stages : int or sequence
        The context of each stage: the same ones in the same order again and again, as ``[0, 1] * 2``. A number stands
        for as many contexts with a stage each.
    num_microbatches, num_chunks : int
        As of `fill_drain`.

    Returns
    -------
    list of list of Unit
        Each context's units in order, of all of its stages.

    Raises
    ------
    ValueError
        If a size is below 1, or the contexts do not take turns.
    """
    num_stages, contexts = _checked(stages, num_microbatches, num_chunks), _by_turns(stages)
    # a group's first piece is back on its first context when that has sent the last one off
    sizes = even_sizes(num_microbatches, max(1, num_microbatches // -(-contexts // num_chunks)))
    groups = [range(end - size, end) for end, size in zip(accumulate(sizes), sizes)]
    schedule = []
    for context in range(contexts):
        own = range(context, num_stages, contexts)
        forward = [u for group in groups for stage in own for m in group for u in _forward(stage, m, num_chunks)]
        backward = [u for group in groups for stage in reversed(own) for m in group
                    for u in _backward(stage, m, num_chunks)]
        ahead = 2 * (contexts - context - 1) + ((len(own) - 1) * max(sizes) + 1) * num_chunks - 1
        units = forward[:ahead]
        for i, unit in enumerate(backward, ahead):
            units += [*forward[i:i + 1], unit]
        schedule.append(units)
    return schedule


def continuous(num_stages: int, num_microbatches: int, before: int = 0) -> Schedule:
    """What each stage does in its turn of a stream of steps, from a step's first forward unit to the next one's.

    Diagram for 3 stages and a step of micro-batches 4 to 7, after one of 0 to 3:

        stage 0  F4 B2 F5 B3 F6 B4 F7 B5
        stage 1  F4 B3 F5 B4 F6 B5 F7 B6
        stage 2  F4 B4 F5 B5 F6 B6 F7 B7

    It is 1F1B of one endless step, but that no stage is ahead by more than a step's micro-batches: what a step leaves
    is done in the next one's turn (Narayanan et al. 2021, PipeDream-2BW, section 3.1).

    Parameters
    ----------
    num_stages : int
        At least 1.
    num_microbatches : int
        Of the step; 0 ends the stream.
    before : int, default 0
        Micro-batches of the step before, which have the first numbers; 0 begins the stream.

    Returns
    -------
    list of list of Unit
        Each stage's units in order, of one chunk.

    Raises
    ------
    ValueError
        If there is no stage.
    """
    _checked(num_stages, max(1, num_microbatches), 1)
    schedule = []
    for stage in range(num_stages):
        ahead = num_stages - stage - 1
        waiting, units = list(range(before - min(ahead, before), before)), []
        for m in range(before, before + num_microbatches):
            units += _forward(stage, m, 1)
            waiting.append(m)
            while len(waiting) > min(ahead, num_microbatches):
                units += _backward(stage, waiting.pop(0), 1)
        schedule.append(units if num_microbatches else [u for m in waiting for u in _backward(stage, m, 1)])
    return schedule


def forward_only(stages: Stages, num_microbatches: int, num_chunks: int = 1, schedule: str = "1f1b") -> Schedule:
    """The forward units alone, for evaluation, in the rows of the ``schedule`` that trains, one of `SCHEDULES`.

    All micro-batches go through a stage before the row's next one. It takes ``stages``, ``num_microbatches`` and
    ``num_chunks``, and returns and raises what that schedule does.
    """
    return [sorted(unit for unit in row if unit.kind == "F")
            for row in SCHEDULES[schedule](stages, num_microbatches, num_chunks)]


SCHEDULES: Dict[str, Callable[[Stages, int, int], Schedule]] = {
    "1f1b": one_f_one_b, "fill_drain": fill_drain, "wavefront": wavefront, "interleaved": interleaved,
    "continuous": one_f_one_b}
"""The schedules that train, by the names that `Pipeline` takes; dict of str to function.

That of "continuous" is a step's that no other one follows; `continuous` has what it does in a stream of them.
"""


def ideal_speedup(num_contexts: int, num_microbatches: int, num_chunks: int = 1, stages_per_context: int = 1) -> float:
    """The highest speed-up over one context: S * K * v / (K * v + S - 1) for K micro-batches times chunks.

    S contexts have v equal stages each: one in three of the schedules, whose bubble is (S - 1) / (K + S - 1) (Huang et
    al. 2019, section 2.3), and several in `interleaved`. With fewer pieces than contexts these come round too late:
    it is S * K * v / (S * v + K - 1) then.

    Parameters
    ----------
    num_contexts, num_microbatches : int
        S and, with ``num_chunks``, K; at least 1 each.
    num_chunks : int, default 1
        Time chunks of each micro-batch.
    stages_per_context : int, default 1
        v, which is 1 but for `interleaved`.

    Returns
    -------
    float
        From 1 to S.

    Raises
    ------
    ValueError
        If a size is below 1.
    """
    _checked(min(num_contexts, num_contexts * stages_per_context), num_microbatches, num_chunks)
    pieces = num_microbatches * num_chunks
    rounds = stages_per_context * max(pieces, num_contexts) + min(pieces, num_contexts) - 1
    return num_contexts * pieces * stages_per_context / rounds


def _by_turns(stages: Stages) -> int:
    """How many contexts there are, on which the stages lie by turns."""
    if isinstance(stages, int):
        return stages
    contexts = list(dict.fromkeys(stages))
    if list(stages) != contexts * (len(stages) // len(contexts)):
        raise ValueError("the interleaved schedule is for stages that lie on their contexts by turns, as on a,b,a,b; "
                         f"got {','.join(map(str, stages))}")
    return len(contexts)


def _forward(stage: int, microbatch: int, num_chunks: int) -> List[Unit]:
    return [Unit("F", stage, microbatch, t) for t in range(num_chunks)]


def _backward(stage: int, microbatch: int, num_chunks: int) -> List[Unit]:
    return [Unit("B", stage, microbatch, t) for t in reversed(range(num_chunks))]


def _checked(stages: Stages, num_microbatches: int, num_chunks: int) -> int:
    """How many stages there are; a ValueError says if a size is below 1."""
    num_stages = stages if isinstance(stages, int) else len(stages)
    if min(num_stages, num_microbatches, num_chunks) < 1:
        raise ValueError(f"a schedule needs at least 1 stage, 1 micro-batch and 1 chunk, got {num_stages}, "
                         f"{num_microbatches} and {num_chunks}")
    return num_stages
