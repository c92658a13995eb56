"""The exact planner: contiguous runs of layers whose slowest run is as fast as possible."""
from __future__ import annotations

from itertools import accumulate
from typing import Any, Callable, List, Optional, Sequence, Union

from .turns import Parts, cut_by_turns

INFINITY = float("inf")
Memory = Union[Sequence[float], Callable[[int, range], float], Callable[[int, Parts], float]]


class Segments:
    """Time, memory and traffic of layers ``start`` to ``end - 1`` on a stage; arguments as of `balance`."""

    def __init__(self, costs: Sequence[float], num_stages: int, memory: Any, memory_limit: Any,
                 transfer: Optional[Sequence[float]], speeds: Optional[Sequence[float]]) -> None:
        # of every run of layers: a difference of two long sums would lose what is small beside them
        self._sums = _sums(costs)
        self.rest = [sums[-1] for sums in self._sums]  # the work from each layer on
        self.speeds = list(speeds or [1.0] * num_stages)
        self._sent = [0.0, *(transfer or [0.0] * (len(costs) - 1)), 0.0]
        self._limits = list(memory_limit) if isinstance(memory_limit, Sequence) else [memory_limit] * num_stages
        self._memory = _memory(memory)
        self._memory_of_parts = memory if callable(memory) else lambda context, parts: sum(
            self._memory(context, part) for part in parts)
        self.is_uniform = not callable(memory) and len(set(self._limits)) == 1  # so that more contexts can be tried

    def time(self, stage: int, start: int, end: int) -> float:
        """Time of the layers, and of sending at both ends."""
        return self._sums[start][end - start] / self.speeds[stage] + self._sent[start] + self._sent[end]

    def sent(self, end: int) -> float:
        """Time to send what the layer before ``end`` puts out."""
        return self._sent[end]

    def memory(self, stage: int, start: int, end: int) -> float:
        """What the layers hold on the stage."""
        return self._memory(stage, range(start, end))

    def time_of_parts(self, context: int, parts: Parts) -> float:
        """Time of a context's stages, or infinity if they do not fit."""
        if self.fill_of_parts(context, parts) > 1:
            return INFINITY
        return sum(self.time(context, part.start, part.stop) for part in parts)

    def fill_of_parts(self, context: int, parts: Parts) -> float:
        """Memory of a context's stages as a share of the limit."""
        return 0.0 if self._limits[context] is None else self.memory_of_parts(context, parts) / self._limits[context]

    def memory_of_parts(self, context: int, parts: Parts) -> float:
        """What a context's stages hold."""
        return self._memory_of_parts(context, parts)

    def limit(self, stage: int) -> float:
        """The most that the stage can hold."""
        return INFINITY if self._limits[stage] is None else self._limits[stage]

    def fits(self, stage: int, start: int, end: int) -> bool:
        """Whether the layers fit."""
        return self._limits[stage] is None or self.memory(stage, start, end) <= self._limits[stage]

    def fill(self, stage: int, start: int, end: int) -> float:
        """Memory as a share of the limit."""
        return self.memory(stage, start, end) / self.limit(stage)


def check(costs: Sequence[float], num_stages: int, memory: Any, memory_limit: Any, transfer: Optional[Sequence[float]],
          speeds: Optional[Sequence[float]], stages_per_context: int = 1) -> None:
    """Refuse numbers that make no sense, by a ValueError with the number and what it should be."""
    if num_stages < 1:
        raise ValueError(f"num_stages must be at least 1, got {num_stages}")
    if stages_per_context < 1:
        raise ValueError(f"stages_per_context must be at least 1, got {stages_per_context}")
    if len(costs) < num_stages * stages_per_context:
        each = f" of {stages_per_context} stages each" if stages_per_context > 1 else ""
        raise ValueError(f"{len(costs)} layers cannot fill {num_stages * stages_per_context} stages; use at most "
                         f"{len(costs) // stages_per_context} contexts{each}")
    _check_list("costs", costs, len(costs), "layer")
    if transfer is not None:
        _check_list("transfer", transfer, len(costs) - 1, "the cut after layer")
    if memory is not None and not callable(memory):
        _check_list("memory", memory, len(costs), "layer")
    if speeds is not None:
        _check_list("speeds", speeds, num_stages, "stage", above=True)
    if isinstance(memory_limit, Sequence):
        _check_list("memory_limit", memory_limit, num_stages, "stage", above=True)
    elif memory_limit is not None and not 0 < memory_limit < INFINITY:
        raise ValueError(f"memory_limit must be above 0 and finite, got {memory_limit}")
    if (memory is None) != (memory_limit is None):
        raise ValueError("memory and memory_limit belong together; give both or neither")
    if sum(costs) == INFINITY:
        raise ValueError("the costs add up to infinity; use a larger unit")


def _check_list(name: str, values: Sequence[float], length: int, what: str, above: bool = False) -> None:
    if len(values) != length:
        raise ValueError(f"{name} needs {length} numbers, one for each {what.split()[-1]}"
                         + (" but the last" if name == "transfer" else "") + f"; got {len(values)}")
    for i, value in enumerate(values):
        if not 0 <= value < INFINITY or above and not value:
            raise ValueError(f"{name} must be {'above' if above else 'at least'} 0 and finite; {what} {i} has {value}")


def _sums(values: Sequence[float]) -> List[List[float]]:
    """By first layer, the sums of 0, 1, 2... values from there on."""
    return [list(accumulate(values[start:], initial=0.0)) for start in range(len(values) + 1)]


def _memory(memory: Any) -> Callable[[int, range], float]:
    if callable(memory):
        return memory
    sums = _sums(memory or [])
    return lambda stage, layers: sums[layers.start][len(layers)]


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


def _balance_by_turns(segments: Segments, num_contexts: int, stages_per_context: int) -> List[int]:
    counts = cut_by_turns(num_contexts, stages_per_context, segments.time_of_parts, segments.sent, segments.rest,
                          segments.speeds)
    if counts is None:
        tightest = cut_by_turns(num_contexts, stages_per_context, segments.fill_of_parts, segments.sent,
                                [0.0] * len(segments.rest), segments.speeds) or []
        parts = [tuple(ranges(tightest)[context::num_contexts]) for context in range(num_contexts)]
        fills = [segments.fill_of_parts(context, own) for context, own in enumerate(parts)]
        context = fills.index(max(fills))
        raise Misfit(f"nothing fits: of all plans {','.join(map(str, tightest))} is the tightest, and its context "
                     f"{context} needs {segments.memory_of_parts(context, parts[context]):,.0f} where "
                     f"{segments.limit(context):,.0f} is the limit", max(fills))
    return counts


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
