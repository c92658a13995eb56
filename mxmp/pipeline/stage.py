"""One stage: a run of layers on one context, and what of it lasts from step to step."""
from __future__ import annotations

from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, Optional, Tuple
from weakref import WeakKeyDictionary

import mxnet as mx
from mxnet.gluon import Block, Parameter

from ..nn.base import descendants, parameters_of
from .dependency import Dependency
from .drawing_op import keep_draws
from .gradients import Backward
from .states import is_stateful


class Stage:
    """Layers, by name, that live on one context; the last stage has the loss, too, and its ``reduction`` over rows.

    What works on a micro-batch is called in the stage's own thread: MXNet keeps the fused RNN operator's resources,
    the random generators and the recording flag per thread. ``contexts`` says where this stage works with each of its
    parameters, the loss's among them; `look` finds out which these are now.
    """

    def __init__(self, index: int, layers: Dict[str, Block], context: mx.Context,
                 loss: Optional[Callable] = None, reduction: str = "sum") -> None:
        self.index, self.layers, self.context, self.loss, self.reduction = index, layers, context, loss, reduction
        self.contexts: Dict[Parameter, mx.Context] = {}
        self.look()
        self.dependency = Dependency(context)
        self.backward, self.loss_backward = Backward(list(layers.values())), Backward(self.loss_blocks)
        self.recompute = False  # whether forward units keep their inputs only, and are run again
        self.rows_found = False  # whether the loss was seen to return more losses for more rows

    def look(self) -> None:
        """Take the parameters that the blocks have now: users put others in their place."""
        self.contexts = {p: self.context for layer in self.layers.values() for p in parameters_of(layer)}
        for block in self.loss_blocks:  # a sharded softmax has its parameters on contexts of their own
            for p in parameters_of(block):
                self.contexts.setdefault(p, getattr(p, "context", None) or self.context)

    def trace(self, carrying: bool, hybridize: bool) -> None:
        """Let blocks be traced anew that were traced with other parameters, or for calls without states and get them
        now, or the other way round, as Gluon's recurrent layers are for one of the two.

        Those of which no part is hybridized are, with ``hybridize``.
        """
        for block in [*self.layers.values(), *self.loss_blocks]:
            traced = carrying, list(parameters_of(block))
            if _traced.get(block) != traced:
                _traced[block] = traced
                active = [each for each in descendants(block) if getattr(each, "_active", False)]
                for each in active:
                    each._clear_cached_op()
                if hybridize and not active:
                    block.hybridize()
            if self.recompute:
                keep_draws(block)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Let layers leave their running statistics, parameters that cannot have a gradient, as they were."""
        statistics = [(p.data(context).as_nd_ndarray(), p.data(context).as_nd_ndarray().copy())
                      for p, context in self.contexts.items() if not p._differentiable and p._data is not None]
        yield
        for array, value in statistics:
            array[:] = value

    @property
    def stateful(self) -> List[Block]:
        """Its layers that have a recurrent state."""
        return [layer for layer in self.layers.values() if is_stateful(layer)]

    @property
    def loss_blocks(self) -> List[Block]:
        """The loss, if it is a block that may have parameters."""
        return [self.loss] if isinstance(self.loss, Block) else []

    def variables(self) -> List[mx.nd.NDArray]:
        """Its copies of those parameters that have gradients."""
        return [p.data(context).as_nd_ndarray() for p, context in self.contexts.items() if p._grad is not None]

    @property
    def choice(self) -> Tuple[str, ...]:
        """What tells one set of `variables` from another."""
        return tuple(p.grad_req for p in self.contexts)

    def __str__(self) -> str:
        return f"stage {self.index} on {self.context}"


_traced: WeakKeyDictionary = WeakKeyDictionary()  # what a block was traced with, in whatever pipeline
