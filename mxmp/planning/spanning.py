"""How many contexts a softmax that is split by its vocabulary should span."""
from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from .planner import balance
from .segments import Misfit, ranges


def span(costs: Sequence[float], softmax: float, num_contexts: int, memory: Optional[Sequence[float]] = None,
         softmax_memory: float = 0.0, memory_limit: Optional[float] = None,
         transfer: Optional[Sequence[float]] = None, sending: float = 0.0) -> Tuple[List[int], int]:
    """Cut a chain into stages of which the last spans several contexts, each with its share of the softmax.

    Exact: every number of contexts that the last stage could span is tried with `balance`, the last layer's time made
    longer by that share. Of equally good ways the one with the fewest contexts for the softmax is taken.

    Parameters
    ----------
    costs : sequence of float
        Time of each layer on one context, in any unit, at least 0.
    softmax : float
        Time of the whole softmax (a `ShardedSoftmaxLoss`) on one context, in the unit of ``costs``.
    num_contexts : int
        Of the stages and the softmax together.
    memory : sequence of float or None
        Memory that each layer needs, in any unit; None leaves memory out of account.
    softmax_memory : float, default 0
        Memory that the whole softmax needs, in the unit of ``memory``.
    memory_limit : float or None
        The most that a context can hold, in the unit of ``memory``.
    transfer : sequence of float or None
        Time to send the outputs of each layer but the last, as of `balance`.
    sending : float, default 0
        Time to send the last layer's outputs to one other context of the softmax.

    Returns
    -------
    counts : list of int
        Layers of each of the ``num_contexts - spanned + 1`` stages.
    spanned : int
        Contexts of the last stage, over which the softmax is split.

    Raises
    ------
    ValueError
        As of `balance`.
    Misfit
        If nothing fits.

    Examples
    --------
    >>> span([2, 2, 2, 0], 6, 4)
    ([1, 1, 2], 2)
    """
    if num_contexts < 1 or not costs:
        raise ValueError(f"there must be a context and a layer; got {num_contexts} contexts and {len(costs)} layers")
    best: Tuple[float, List[int], int] = (float("inf"), [], 0)
    misfits: List[Misfit] = []
    for spanned in range(max(1, num_contexts + 1 - len(costs)), num_contexts + 1):
        heavier = [*costs[:-1], costs[-1] + softmax / spanned + sending * (spanned - 1)]
        fuller = None if memory is None else [*memory[:-1], memory[-1] + softmax_memory / spanned]
        try:
            counts = balance(heavier, num_contexts - spanned + 1, fuller, memory_limit, transfer)
        except Misfit as error:
            misfits.append(error)
            continue
        slowest = max(_seconds(heavier, run, transfer) for run in ranges(counts))
        if slowest < best[0]:
            best = slowest, counts, spanned
    if not best[2]:
        raise min(misfits, key=lambda error: error.fill)
    return best[1], best[2]


def _seconds(costs: Sequence[float], run: range, transfer: Optional[Sequence[float]]) -> float:
    sent = [0.0, *(transfer or [0.0] * (len(costs) - 1)), 0.0]
    return sum(costs[run.start:run.stop]) + sent[run.start] + sent[run.stop]
