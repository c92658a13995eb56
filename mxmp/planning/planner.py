"""The exact planner: contiguous runs of layers whose slowest run is as fast as possible."""
from __future__ import annotations

from typing import Callable, List, Optional, Sequence, Tuple, Union

from .segments import INFINITY, Misfit, Parts, Segments, check, ranges

Memory = Union[Sequence[float], Callable[[int, range], float], Callable[[int, Parts], float]]


def balance(costs: Sequence[float], num_stages: int, memory: Optional[Memory] = None,
            memory_limit: Union[None, float, Sequence[float]] = None, transfer: Optional[Sequence[float]] = None,
            speeds: Optional[Sequence[float]] = None, stages_per_context: int = 1) -> List[int]:
    """Cut a chain into contiguous stages so that the slowest stage is as fast as possible.

    Dynamic programming over prefixes, exact: ``best[s][i]``, the least possible maximum of the first i layers on s
    stages, is the minimum over j of ``max(best[s-1][j], time of layers j..i-1 on stage s)``. Of all partitions that
    reach the optimum, a second pass of the same kind takes the one that sends least. O(stages x layers^2).

    With several stages per context, which lie by turns, the slowest *context* is as fast as possible: the sums of its
    stages' times and memory count. That takes a search, exact too; its time grows with the ways to cut the chain.

    Parameters
    ----------
    costs : sequence of float
        Time of each layer on a context of speed 1, in any unit, at least 0.
    num_stages : int
        Number of stages or, if ``stages_per_context`` is above 1, of contexts; each stage gets at least one layer.
    memory : sequence of float, callable or None
        What must fit: of each layer, or ``memory(stage, layers)`` for a range of layers on a stage, where it depends
        on the stage (1F1B) or is not a sum (shared parameters). It must not shrink when a layer is added. With several
        stages per context it is ``memory(context, parts)`` for a tuple of ranges.
    memory_limit : float, sequence of float or None
        The most that each stage can hold, one number for all or one for each; in the unit of ``memory``.
    transfer : sequence of float or None
        Time to send the outputs of each layer but the last to the next context, in the unit of ``costs``. A cut costs
        it on both sides: one stage sends outputs, the other their gradients.
    speeds : sequence of float or None
        Speed of each stage's context; by default all are 1.
    stages_per_context : int, default 1
        Stages of each context; stage i is on context i modulo ``num_stages``.

    Returns
    -------
    list of int
        Layers per stage, in the chain's order; sums to ``len(costs)``.

    Raises
    ------
    ValueError
        If there are fewer layers than stages, or a number is impossible.
    Misfit
        If nothing fits; a ValueError that says what the tightest plan needs.

    Examples
    --------
    >>> balance([1, 1, 1, 3], 2)
    [3, 1]
    >>> balance([1, 1, 1, 3], 2, memory=[5, 1, 1, 1], memory_limit=6)
    [2, 2]
    """
    check(costs, num_stages, memory, memory_limit, transfer, speeds, stages_per_context)
    segments = Segments(costs, num_stages, memory, memory_limit, transfer, speeds)
    if stages_per_context > 1:
        return _balance_by_turns(segments, num_stages, stages_per_context)

    def time(stage: int, start: int, end: int) -> float:
        return segments.time(stage, start, end) if segments.fits(stage, start, end) else INFINITY

    counts = _best_cuts(num_stages, len(costs), time, max)
    if counts is None:
        raise _misfit(segments, num_stages, len(costs))
    limit = max(segments.time(stage, run.start, run.stop) for stage, run in enumerate(ranges(counts)))
    least = _best_cuts(num_stages, len(costs), lambda s, i, j: segments.sent(j) if time(s, i, j) <= limit else INFINITY,
                       lambda before, sent: before + sent)
    return least or counts


def _best_cuts(num_stages: int, num_layers: int, value: Callable[[int, int, int], float],
               combine: Callable[[float, float], float]) -> Optional[List[int]]:
    """Layers per stage with the least combined value of all stages; None if all of them are infinite."""
    best = [0.0] + [INFINITY] * num_layers
    cuts: List[List[int]] = []
    for stage in range(num_stages):
        row, cut = [INFINITY] * (num_layers + 1), [0] * (num_layers + 1)
        for end in range(stage + 1, num_layers + 1):
            for start in range(stage, end):
                total = combine(best[start], value(stage, start, end)) if best[start] < INFINITY else INFINITY
                if total < row[end]:
                    row[end], cut[end] = total, start
        best = row
        cuts.append(cut)
    if best[-1] == INFINITY:
        return None
    counts, end = [], num_layers
    for cut in reversed(cuts):
        counts.append(end - cut[end])
        end = cut[end]
    return counts[::-1]


def _misfit(segments: Segments, num_stages: int, num_layers: int) -> Misfit:
    """What the plan that comes nearest to fitting would need, and how many contexts would do."""
    counts = _best_cuts(num_stages, num_layers, segments.fill, max) or []
    fills = [segments.fill(stage, run.start, run.stop) for stage, run in enumerate(ranges(counts))]
    stage = fills.index(max(fills))
    layers = ranges(counts)[stage]
    text = (f"nothing fits: of all plans {','.join(map(str, counts))} is the tightest, and its stage {stage} needs "
            f"{segments.memory(stage, layers.start, layers.stop):,.0f} where {segments.limit(stage):,.0f} is the limit")
    return Misfit(text + (_remedy(segments, num_stages, num_layers) if segments.is_uniform else ""), max(fills))


def _remedy(segments: Segments, num_stages: int, num_layers: int) -> str:
    """How many contexts of one size would hold layers whose memory does not depend on the stage."""
    def fill(_: int, start: int, end: int) -> float:
        return segments.fill(0, start, end)

    for more in range(num_stages + 1, num_layers + 1):
        if all(fill(0, run.start, run.stop) <= 1 for run in ranges(_best_cuts(more, num_layers, fill, max) or [])):
            return f"; {more} contexts would hold it"
    return "; a single layer needs more than that, so that no number of contexts would do"


def _balance_by_turns(segments: Segments, num_contexts: int, stages_per_context: int) -> List[int]:
    """Layers per stage, as of `balance`, where each context has several stages; a Misfit if nothing fits."""
    counts = _cut_by_turns(num_contexts, stages_per_context, segments.time_of_parts, segments.sent, segments.rest,
                           segments.speeds)
    if counts is None:
        tightest = _cut_by_turns(num_contexts, stages_per_context, segments.fill_of_parts, segments.sent,
                                 [0.0] * len(segments.rest), segments.speeds) or []
        parts = [tuple(ranges(tightest)[context::num_contexts]) for context in range(num_contexts)]
        fills = [segments.fill_of_parts(context, own) for context, own in enumerate(parts)]
        context = fills.index(max(fills))
        raise Misfit(f"nothing fits: of all plans {','.join(map(str, tightest))} is the tightest, and its context "
                     f"{context} needs {segments.memory_of_parts(context, parts[context]):,.0f} where "
                     f"{segments.limit(context):,.0f} is the limit", max(fills))
    return counts


def _cut_by_turns(num_contexts: int, stages_per_context: int, value: Callable[[int, Parts], float],
                  sent: Callable[[int], float], rest: Sequence[float], speeds: Sequence[float]) -> Optional[List[int]]:
    """Layers per stage with the least maximum over the contexts of ``value``; None if all are infinite.

    Stage i is on context i modulo their number. ``value(context, parts)`` must not shrink when a part is added; of
    equally good cuts the one with the least sum of ``sent(end)`` is taken. ``rest`` are the sums of all layers' work
    from each on, and ``speeds`` say how much of it a context does for a value of 1.

    Loads of contexts add up over their stages, so that no order of prefixes is the best, as it is for one stage each.
    All cuts are tried, therefore, but for those whose first stages are worse than the best cut so far, or leave the
    contexts less room below it than the rest needs: few of them remain where chains have some 30 layers.
    """
    num_stages, num_layers = num_contexts * stages_per_context, len(rest) - 1
    best: Tuple[Tuple[float, float], Optional[List[int]]] = ((INFINITY, 0.0), None)  # infinite ones are no better

    def extend(counts: List[int], parts: List[Parts], loads: List[float], total: float) -> None:
        nonlocal best
        stage, start = len(counts), sum(counts)
        if stage == num_stages:
            best = (max(loads), total), counts
            return
        context, later = stage % num_contexts, range(stage + 1, num_stages)
        takers = {other % num_contexts for other in later}
        ends = range(start + 1, num_layers - len(later) + 1) if later else [num_layers]
        even = rest[start] - rest[start] / (num_stages - stage)
        for end in sorted(ends, key=lambda end: abs(rest[end] - even)):  # a good cut first leaves out many
            own = (*parts[context], range(start, end))
            new = [*loads[:context], value(context, own), *loads[context + 1:]]
            room = sum((best[0][0] - new[other]) * speeds[other] for other in takers)
            if rest[end] <= room and (max(new), total + sent(end)) < best[0]:
                extend([*counts, end - start], [*parts[:context], own, *parts[context + 1:]], new, total + sent(end))

    extend([], [()] * num_contexts, [0.0] * num_contexts, 0.0)
    return best[1]
