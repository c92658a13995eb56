"""Runs of a chain's layers: their time, memory and traffic, and what numbers a planner refuses."""
from __future__ import annotations

from itertools import accumulate
from typing import Any, Callable, List, Optional, Sequence, Tuple

INFINITY = float("inf")
Parts = Tuple[range, ...]
"""The layers of a context's stages, in the chain's order."""


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


def ranges(counts: Sequence[int]) -> List[range]:
    """The positions of each stage's layers."""
    starts = [sum(counts[:i]) for i in range(len(counts))]
    return [range(start, start + count) for start, count in zip(starts, counts)]
