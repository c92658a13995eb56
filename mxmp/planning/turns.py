"""The exact planner for contexts that have several stages each, by turns: a search that leaves out what cannot win."""
from __future__ import annotations

from typing import Callable, List, Optional, Sequence, Tuple

INFINITY = float("inf")
Parts = Tuple[range, ...]
"""The layers of a context's stages, in the chain's order."""


def cut_by_turns(num_contexts: int, stages_per_context: int, value: Callable[[int, Parts], float],
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
