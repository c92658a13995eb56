"""One stage: a run of layers on one context, and what of it lasts from step to step."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import Block, Parameter

from .dependency import Dependency
from .states import is_stateful


class Stage:
    """Layers, by name, that live on one context; the last stage has the loss, too, which takes outputs of ``layout``.

    What works on a micro-batch is called in the stage's own thread: MXNet keeps the fused RNN operator's resources,
    the random generators and the recording flag per thread. ``contexts`` says where this stage works with each of its
    parameters, the loss's among them.
    """

    def __init__(self, index: int, layers: Dict[str, Block], context: mx.Context,
                 loss: Optional[Callable] = None, layout: str = "NTC") -> None:
        self.index, self.layers, self.context, self.loss, self.layout = index, layers, context, loss, layout
        self.contexts: Dict[Parameter, mx.Context] = {
            p: context for block in layers.values() for p in block.collect_params().values()}
        for block in self.loss_blocks:  # a sharded softmax has its parameters on contexts of their own
            for p in block.collect_params().values():
                self.contexts.setdefault(p, getattr(p, "context", None) or context)
        self.dependency = Dependency(context)
        self._recorded: Dict[Any, List[bool]] = {}

    @property
    def stateful(self) -> List[Block]:
        """Its layers that have a recurrent state."""
        return [layer for layer in self.layers.values() if is_stateful(layer)]

    @property
    def loss_blocks(self) -> List[Block]:
        """The loss, if it is a block that may have parameters."""
        return [self.loss] if isinstance(self.loss, Block) else []

    def clear_gradients(self) -> None:
        """Set the gradients, to which backward units add, to 0."""
        for parameter, context in self.contexts.items():
            if parameter._grad is not None:  # it is None where none is wanted, or before the first input came
                parameter.grad(context)[:] = 0

    def own_gradient(self) -> List[mx.nd.NDArray]:
        """One gradient of the layers on the stage's context, if there is any."""
        return [p.grad(self.context) for p, context in self.contexts.items()
                if p.grad_req != "null" and context == self.context][:1]

    def are_recorded(self, inputs: Sequence[mx.nd.NDArray], outputs: Sequence[mx.nd.NDArray]) -> List[bool]:
        """Which outputs depend on anything that has a gradient; found out once for each choice of what has."""
        key = (len(outputs), *(array.grad is None for array in inputs), *(p.grad_req for p in self.contexts))
        if key not in self._recorded:
            self._recorded[key] = [_is_recorded(array) for array in outputs]
        return self._recorded[key]

    def __str__(self) -> str:
        return f"stage {self.index} on {self.context}"


def _is_recorded(array: mx.nd.NDArray) -> bool:
    """Whether an array is part of a recorded graph; MXNet tells only by refusing to show the graph."""
    try:
        autograd.get_symbol(array)
    except mx.MXNetError:
        return False
    return True
