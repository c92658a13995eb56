"""Gradients that add up over a step's micro-batches, whatever a parameter's ``grad_req`` asks for outside."""
from __future__ import annotations

import json
from itertools import compress
from typing import Callable, Dict, Hashable, List, Sequence, Tuple

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import Block, Parameter

from ..nn.base import descendants
from ..nn.operators import is_recorded

_IN_PYTHON = ("_CustomFunction", "Custom")  # autograd.Function and mx.operator.CustomOp


class AddingUp:
    """Lets gradients that are to be written be added to from `begin` to `end`, one step.

    MXNet's micro-batches would each write over the one before. Parameters that say 'add' outside, too, go on adding
    from step to step, as in Gluon.
    """

    def __init__(self) -> None:
        self._changed: List[Parameter] = []

    def begin(self, parameters: Sequence[Parameter]) -> None:
        """Clear the gradients that are to be written; the step's backward units add to them."""
        self.end()  # in case that a step was interrupted
        for parameter in parameters:
            if parameter.grad_req == "write":
                self._changed.append(parameter)
                parameter._grad_req = "add"
                if parameter._grad is not None:  # as it is before the first input came
                    _mark(parameter._data, parameter._grad, "add")
                    for grad in parameter._grad:
                        grad[:] = 0

    def end(self) -> None:
        """Leave the parameters as they were, for plain Gluon."""
        self.release()()

    def release(self) -> Callable[[], None]:
        """Leave the parameters as they were, but for their present arrays: these add up until what it returns is
        called."""
        changed, self._changed = [p for p in self._changed if p.grad_req == "add"], []
        arrays = [(parameter._data, parameter._grad) for parameter in changed if parameter._grad is not None]
        for parameter in changed:
            parameter._grad_req = "write"

        def release() -> None:
            for data, grads in arrays:
                _mark(data, grads, "write")
        return release


def _mark(data: Sequence[mx.nd.NDArray], grads: Sequence[mx.nd.NDArray], grad_req: str) -> None:
    """Set arrays' ``grad_req``, and keep their gradients and whether these are fresh, which Gluon's own setter does
    not."""
    fresh = [array._fresh_grad for array in data]
    autograd.mark_variables(data, grads, grad_req)
    for array, is_fresh in zip(data, fresh):
        array._fresh_grad = is_fresh


class Backward:
    """The backward passes of one stage's blocks; what their graphs are like is found out once for each choice of
    variables."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._known: Dict[Hashable, Tuple[List[bool], List[int]]] = {}

    def __call__(self, heads: Sequence[mx.nd.NDArray], head_grads: Sequence[mx.nd.NDArray],
                 variables: Callable[[], Sequence[mx.nd.NDArray]], choice: Hashable) -> None:
        """Let the variables' gradients take what comes from the heads; ``choice`` tells one set of both from another.

        The graph stays until it is dropped: clearing it would tear frozen parameters, and arrays that a block holds
        itself, out of the other micro-batches' graphs.
        """
        if choice not in self._known:
            self._known[choice] = _look(heads, variables(), self._blocks)
        recorded, lost = self._known[choice]
        kept, grads = list(compress(heads, recorded)), list(compress(head_grads, recorded))
        if not lost:
            if kept:
                autograd.backward(kept, grads, retain_graph=True)
            return
        reached = [variables()[i] for i in lost]
        for variable, grad in zip(reached, autograd.grad(kept, reached, grads, retain_graph=True)):
            variable.grad[:] += grad
            variable._fresh_grad = True  # what a trainer asks


def _look(heads: Sequence[mx.nd.NDArray], variables: Sequence[mx.nd.NDArray],
          blocks: Sequence[Block]) -> Tuple[List[bool], List[int]]:
    """Which heads are part of a graph; and, if gradients that are to be added up may be lost, the variables in it.

    They may where an operator in Python takes a variable itself. Of an ``autograd.Function``, MXNet 1.9.1 (autograd.py)
    compares the number of 'add' with its name; and users' operators write where they should assign as they are told.
    """
    graphs = [_nodes(head) for head in heads]
    names = [next(node["name"] for node in _nodes(variable)) for variable in variables]
    lost = any(node["op"] in _IN_PYTHON and any(graph[source[0]]["name"] in names for source in node["inputs"])
               for graph in graphs for node in graph) or _traced_in_python(blocks)
    reached = {node["name"] for graph in graphs for node in graph}
    return [bool(graph) for graph in graphs], [i for i, name in enumerate(names) if lost and name in reached]


def _traced_in_python(blocks: Sequence[Block]) -> bool:
    """Whether a hybridized block's graph, which is one node of the recorded one, has an operator in Python."""
    graphs = [each._cached_graph[1] for block in blocks for each in descendants(block)
              if getattr(each, "_cached_graph", ())]
    return any(node["op"] in _IN_PYTHON for graph in graphs for node in json.loads(graph.tojson())["nodes"])


def _nodes(array: mx.nd.NDArray) -> List[Dict]:
    """The nodes of the recorded graph that an array is part of; none if it is part of none."""
    return json.loads(autograd.get_symbol(array).tojson())["nodes"] if is_recorded(array) else []
