"""One stage: a run of layers on one context, and the live activations of its micro-batches."""
from __future__ import annotations

from itertools import compress
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.gluon import Block, Parameter

from ..nn.chain import run_layers

Arrays = Tuple[mx.nd.NDArray, ...]


class Stage:
    """Layers that live on one context.

    What works on a micro-batch is called in the stage's own thread: MXNet keeps the fused RNN operator's
    resources, the random generators and the recording flag per thread.

    Parameters
    ----------
    index : int
        Position in the pipeline.
    layers : dict of str to Block
        The stage's layers in order, by name.
    context : mx.Context
        Where they live.
    loss : Block or None
        For the last stage: called with the chain's outputs, then the labels.
    """

    def __init__(self, index: int, layers: Dict[str, Block], context: mx.Context, loss: Optional[Block]) -> None:
        self.index, self.layers, self.context, self.loss = index, layers, context, loss
        self._live: Dict[int, Tuple[Arrays, Arrays]] = {}
        self._recorded: Optional[List[bool]] = None  # which outputs depend on anything that has a gradient

    @property
    def parameters(self) -> List[Parameter]:
        """The layers' and the loss's parameters, each once."""
        blocks = list(self.layers.values()) + ([self.loss] if isinstance(self.loss, Block) else [])
        return list({id(p): p for block in blocks for p in block.collect_params().values()}.values())

    def begin_step(self) -> None:
        """Clear the gradients and whatever a failed step left behind."""
        self._live.clear()
        for parameter in self.parameters:
            if parameter._grad is not None:  # it is None where none is wanted, or before the first input came
                parameter.grad(self.context)[:] = 0

    def forward(self, microbatch: int, inputs: Sequence[Any], labels: Sequence[Any] = (),
                training: bool = True) -> Arrays:
        """Run the layers on one micro-batch; in training its activations are kept for `backward`.

        Returns what the next stage takes or, of the last stage with a loss, the micro-batch's summed loss.
        """
        inputs = self._move(inputs)
        if not training:
            return self._run(inputs, labels)
        if self.index:
            for array in inputs:
                if _is_float(array):
                    array.attach_grad()
        with autograd.record():
            outputs = self._run(inputs, labels)
        self._live[microbatch] = inputs, outputs
        return tuple(array.detach() for array in outputs)

    def backward(self, microbatch: int, head_grads: Optional[Sequence[Any]] = None) -> Arrays:
        """Add the micro-batch's gradients to the parameters' and return those of its floating-point inputs."""
        inputs, outputs = self._live.pop(microbatch)
        heads = [array for array in outputs if _is_float(array)]
        if self._recorded is None:
            self._recorded = [_is_recorded(array) for array in heads]
        if any(self._recorded):
            grads = None if head_grads is None else list(compress(self._move(head_grads), self._recorded))
            autograd.backward(list(compress(heads, self._recorded)), grads)
        return tuple(array.grad for array in inputs if _is_float(array)) if self.index else ()

    def _run(self, arrays: Arrays, labels: Sequence[Any]) -> Arrays:
        arrays = run_layers(self.layers.values(), arrays)
        if self.loss is None:
            return arrays
        return (self.loss(*arrays, *self._move(labels)).sum(),)

    def _move(self, arrays: Sequence[Any]) -> Arrays:
        """Copies (or, on the context already, fresh handles) on this stage's context.

        Two recorded graphs must not share an input handle without a gradient: the first one's backward pass
        would clear the node that the second still needs.
        """
        return tuple(array.detach() if array.context == self.context else array.as_in_context(self.context)
                     for array in arrays)


def _is_float(array: mx.nd.NDArray) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))


def _is_recorded(array: mx.nd.NDArray) -> bool:
    """Whether an array is part of a recorded graph; MXNet tells only by refusing to show the graph."""
    try:
        autograd.get_symbol(array)
    except mx.MXNetError:
        return False
    return True
