"""The exact planner: contiguous runs of layers whose slowest run is as fast as possible."""
from __future__ import annotations

from typing import List, Sequence


def balance(costs: Sequence[float], num_stages: int) -> List[int]:
    """Cut a chain into contiguous stages so that the most expensive stage is as cheap as possible.

    Dynamic programming over prefixes, exact: ``best[s][i]``, the least possible maximum of the first i layers on
    s stages, is the minimum over j of ``max(best[s-1][j], cost of layers j..i-1)``. O(stages x layers^2).

    Parameters
    ----------
    costs : sequence of float
        One cost per layer, at least 0, in any unit.
    num_stages : int
        Number of stages; each gets at least one layer.

    Returns
    -------
    list of int
        Layers per stage; sums to ``len(costs)``.

    Raises
    ------
    ValueError
        If there are fewer layers than stages, no stage, or a negative cost.

    Examples
    --------
    >>> balance([1, 1, 1, 3], 2)
    [3, 1]
    """
    if num_stages < 1:
        raise ValueError(f"num_stages must be at least 1, got {num_stages}")
    if len(costs) < num_stages:
        raise ValueError(f"{len(costs)} layers cannot fill {num_stages} stages; use at most {len(costs)} contexts")
    infinity = float("inf")
    wrong = [i for i, cost in enumerate(costs) if not 0 <= cost < infinity]
    if wrong:
        raise ValueError(f"costs must be at least 0 and finite; layer {wrong[0]} has {costs[wrong[0]]}")
    prefix = [0.0]
    for cost in costs:
        prefix.append(prefix[-1] + cost)
    if prefix[-1] == infinity:
        raise ValueError("the costs add up to infinity; use a larger unit")
    best = [0.0] + [infinity] * len(costs)
    cuts: List[List[int]] = []
    for _ in range(num_stages):
        row, cut = [infinity] * (len(costs) + 1), [0] * (len(costs) + 1)
        for end in range(1, len(costs) + 1):
            for start in range(end):
                slowest = max(best[start], prefix[end] - prefix[start])
                if slowest < row[end]:
                    row[end], cut[end] = slowest, start
        best = row
        cuts.append(cut)
    counts, end = [], len(costs)
    for cut in reversed(cuts):
        counts.append(end - cut[end])
        end = cut[end]
    return counts[::-1]
