"""A plan: how many neighbouring layers live on each context."""
from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import mxnet as mx

from .analytic import LayerCost


@dataclass(frozen=True)
class Plan:
    """Contiguous runs of a chain's layers, one run per context.

    Parameters
    ----------
    counts : tuple of int
        Layers per stage, each at least 1.
    contexts : tuple of mx.Context
        The context of each stage.

    Raises
    ------
    ValueError
        If the two differ in length, or a stage would be empty.
    """

    counts: Tuple[int, ...]
    contexts: Tuple[mx.Context, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", tuple(self.counts))
        object.__setattr__(self, "contexts", tuple(self.contexts))
        if len(self.counts) != len(self.contexts):
            raise ValueError(f"the plan {self} gives layers to {len(self.counts)} stages, but there are "
                             f"{len(self.contexts)} contexts; give one number of layers per context")
        if not self.counts or min(self.counts) < 1:
            raise ValueError(f"the plan {self} has an empty stage; every context needs at least one layer")

    @classmethod
    def parse(cls, text: str, contexts: Sequence[mx.Context], num_layers: int) -> Plan:
        """Read layer counts such as ``"3,5"`` and check that they use every layer once."""
        try:
            counts = tuple(int(part) for part in text.split(","))
        except ValueError:
            raise ValueError(f"cannot read the plan {text!r}; write layers per context, for example \"3,5\"") from None
        if sum(counts) != num_layers:
            raise ValueError(f"the plan {text!r} places {sum(counts)} layers, but the chain has {num_layers}")
        return cls(counts, tuple(contexts))

    @property
    def ranges(self) -> List[range]:
        """The positions of each stage's layers in the chain."""
        starts = [sum(self.counts[:i]) for i in range(len(self.counts))]
        return [range(start, start + count) for start, count in zip(starts, self.counts)]

    def table(self, costs: Sequence[LayerCost]) -> str:
        """One line per context (its layers, parameters, share of the work) for a log."""
        total = sum(cost.flops for cost in costs) or 1
        lines = []
        for context, layers in zip(self.contexts, self.ranges):
            mine = [costs[i] for i in layers]
            sizes = {name: size for cost in mine for name, size in cost.sizes.items()}  # a shared one once
            lines.append(f"{str(context):8} {sum(sizes.values()):>12,} parameters "
                         f"{sum(c.flops for c in mine) / total:6.1%} of the work  "
                         + ", ".join(c.name for c in mine))
        return "\n".join(lines)

    def __str__(self) -> str:
        return ",".join(str(count) for count in self.counts)
