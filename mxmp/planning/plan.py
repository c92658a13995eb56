"""A plan: how many neighbouring layers live on each context."""
from __future__ import annotations

import json
import operator
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mxnet as mx

from ..contexts import check_contexts, parse_contexts
from ..pictures import draw_plan
from .cost import LayerCost, stage_bytes
from .segments import ranges


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
        If they are of another kind or differ in length, or a stage would be empty.
    """

    counts: Tuple[int, ...]
    contexts: Tuple[mx.Context, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", _checked_counts(self.counts))
        object.__setattr__(self, "contexts", check_contexts(self.contexts, "the second argument of a Plan"))
        if len(self.counts) != len(self.contexts):
            raise ValueError(f"the plan {self} gives layers to {len(self.counts)} stages, but there are "
                             f"{len(self.contexts)} contexts; give one number of layers per context")
        if not self.counts or min(self.counts) < 1:
            raise ValueError(f"the plan {self} has an empty stage; every context needs at least one layer")

    @classmethod
    def parse(cls, text: str, contexts: Sequence[mx.Context], num_layers: int) -> Plan:
        """Read layer counts and check that they use every layer once.

        Parameters
        ----------
        text : str
            Layers per context, such as ``"3,5"``.
        contexts : sequence of mx.Context
            As many.
        num_layers : int
            Layers of the chain.

        Returns
        -------
        Plan

        Raises
        ------
        ValueError
            If the text cannot be read, or the counts do not suit the contexts or the layers.
        """
        try:
            counts = tuple(int(part) for part in text.split(","))
        except ValueError:
            raise ValueError(f"cannot read the plan {text!r}; write layers per context, for example \"3,5\"") from None
        if sum(counts) != num_layers:
            raise ValueError(f"the plan {text!r} places {sum(counts)} layers, but the chain has {num_layers}")
        return cls(counts, tuple(contexts))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Returns the plan that `to_json` wrote as ``text``; its contexts need not be there.

        Raises
        ------
        ValueError
            If it is no plan.
        """
        try:
            described = json.loads(text)
            contexts = [parse_contexts(name, present=False)[0] for name in described["contexts"]]
            counts = tuple(map(int, described["layers"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"cannot read the plan {text[:80]!r} ({error}); write, for example, "
                             '{"layers": [3, 5], "contexts": ["cpu(0)", "cpu(1)"]}') from error
        return cls(counts, tuple(contexts))

    def to_json(self) -> str:
        """The plan as JSON: ``{"layers": [3, 5], "contexts": ["cpu(0)", "cpu(1)"]}``."""
        return json.dumps(self.as_dict())

    def as_dict(self) -> Dict[str, Any]:
        """What JSON can hold of it: a list of the layers per context, and one of the contexts' names."""
        return {"layers": list(self.counts), "contexts": list(map(str, self.contexts))}

    @property
    def ranges(self) -> List[range]:
        """The positions of each stage's layers in the chain; list of range."""
        return ranges(self.counts)

    def table(self, costs: Sequence[LayerCost]) -> str:
        """The plan with the layers' ``costs`` for a log: each context's parameters, share of the work and layers."""
        lines = []
        for context, layers, share in zip(self.contexts, self.ranges, self.shares(costs)):
            own = [costs[i] for i in layers]
            sizes = {name: size for cost in own for name, size in cost.sizes.items()}  # a shared one once
            lines.append(f"{str(context):8} {sum(sizes.values()):>12,} parameters {share:6.1%} of the work  "
                         + ", ".join(c.name for c in own))
        return "\n".join(lines)

    def shares(self, costs: Sequence[LayerCost]) -> List[float]:
        """Each context's share of the work that ``costs`` tell, 0 to 1."""
        total = sum(cost.work for cost in costs) or 1
        return [sum(costs[i].work for i in layers) / total for layers in self.ranges]

    def save(self, path: str, costs: Sequence[LayerCost], live: Sequence[int] = (),
             limit: Optional[int] = None) -> None:
        """Draw it: contexts as boxes, their layers inside, bars for compute and memory.

        Parameters
        ----------
        path : str
            The picture's file; its ending chooses the format.
        costs : sequence of LayerCost
            Of every layer.
        live : sequence of int
            Of each context, how many units' activations it holds at once; by default one.
        limit : int or None
            Bytes that a context can hold.
        """
        sizes = [stage_bytes(costs, layers, count) for layers, count in
                 zip(self.ranges, live or [1] * len(self.counts))]
        draw_plan(path, list(map(str, self.contexts)), [[costs[i].name for i in layers] for layers in self.ranges],
                  self.shares(costs), sizes, limit)

    def __str__(self) -> str:
        return ",".join(str(count) for count in self.counts)


def _checked_counts(counts: Any) -> Tuple[int, ...]:
    try:
        return tuple(operator.index(count) for count in counts)
    except TypeError:
        raise ValueError("the first argument of a Plan must be whole numbers of layers, one for each context, such as "
                         f"(3, 5); got {counts!r}") from None
