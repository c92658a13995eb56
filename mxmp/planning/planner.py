"""The exact planner: contiguous runs of layers whose slowest run is as fast as possible."""
from __future__ import annotations

from typing import Callable, List, Optional, Sequence, Union

from .segments import Segments, check

INFINITY = float("inf")
Memory = Union[Sequence[float], Callable[[int, range], float]]


class Misfit(ValueError):
    """No plan fits.

    Parameters
    ----------
    text : str
        The message.
    fill : float
        The memory that the tightest plan needs, as a share of the limit; above 1.
    """

    def __init__(self, text: str, fill: float) -> None:
        super().__init__(text)
        self.fill = fill


def balance(costs: Sequence[float], num_stages: int, memory: Optional[Memory] = None,
            memory_limit: Union[None, float, Sequence[float]] = None, transfer: Optional[Sequence[float]] = None,
            speeds: Optional[Sequence[float]] = None) -> List[int]:
    """Cut a chain into contiguous stages so that the slowest stage is as fast as possible.

    Dynamic programming over prefixes, exact: ``best[s][i]``, the least possible maximum of the first i layers on s
    stages, is the minimum over j of ``max(best[s-1][j], time of layers j..i-1 on stage s)``. Of all partitions that
    reach the optimum, a second pass of the same kind takes the one that sends least. O(stages x layers^2).

    Parameters
    ----------
    costs : sequence of float
        Time of each layer on a context of speed 1, in any unit, at least 0.
    num_stages : int
        Number of stages; each gets at least one layer.
    memory : sequence of float, callable or None
        What must fit: of each layer, or ``memory(stage, layers)`` for a range of layers on a stage, where it depends
        on the stage (1F1B) or is not a sum (shared parameters). It must not shrink when a layer is added.
    memory_limit : float, sequence of float or None
        The most that each stage can hold, one number for all or one for each; in the unit of ``memory``.
    transfer : sequence of float or None
        Time to send the outputs of each layer but the last to the next context, in the unit of ``costs``. A cut costs
        it on both sides: one stage sends outputs, the other their gradients.
    speeds : sequence of float or None
        Speed of each stage's context; by default all are 1.

    Returns
    -------
    list of int
        Layers per stage; sums to ``len(costs)``.

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
    check(costs, num_stages, memory, memory_limit, transfer, speeds)
    segments = Segments(costs, num_stages, memory, memory_limit, transfer, speeds)

    def time(stage: int, start: int, end: int) -> float:
        return segments.time(stage, start, end) if segments.fits(stage, start, end) else INFINITY

    counts = _best_cuts(num_stages, len(costs), time, max)
    if counts is None:
        raise _misfit(segments, num_stages, len(costs))
    limit = max(segments.time(stage, run.start, run.stop) for stage, run in enumerate(ranges(counts)))
    least = _best_cuts(num_stages, len(costs), lambda s, i, j: segments.sent(j) if time(s, i, j) <= limit else INFINITY,
                       lambda before, sent: before + sent)
    return least or counts


def ranges(counts: Sequence[int]) -> List[range]:
    """The positions of each stage's layers."""
    starts = [sum(counts[:i]) for i in range(len(counts))]
    return [range(start, start + count) for start, count in zip(starts, counts)]


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
