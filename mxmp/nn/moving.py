"""Inputs that are on another context than a block's parameters are moved there."""
from __future__ import annotations

from typing import Any, Iterator, List, Tuple

import mxnet as mx
from mxnet.gluon import Block, HybridBlock, Parameter


class MovingBlock(HybridBlock):
    """A HybridBlock that works where its parameters are, wherever its inputs are.

    Gluon's blocks refuse inputs from another context, or mix contexts unnoticed. Here they are moved, once, under
    ``autograd.record()`` too; the output stays where it was computed. A block whose parameters have copies on several
    contexts works on the first input's context if there is a copy, as Gluon's blocks do in data parallelism.
    """

    def __call__(self, *args: Any) -> Any:
        return super().__call__(*move_to(self, args))


def move_to(block: Block, args: Tuple) -> Tuple:
    """The arguments, arrays and lists of arrays, on the block's context; symbols and all else as they are.

    Where the first argument is no array, all of them are left as they are.
    """
    first = next(_flat(args), None)
    if not isinstance(first, mx.nd.NDArray):
        return args
    places = _common_contexts(block)
    return _move(args, first.context if not places or first.context in places else places[0])


def _move(arg: Any, place: mx.Context) -> Any:
    if isinstance(arg, (list, tuple)):
        return type(arg)([_move(part, place) for part in arg])
    return arg.as_in_context(place) if isinstance(arg, mx.nd.NDArray) else arg


def _common_contexts(block: Block) -> List[mx.Context]:
    """Contexts on which the block has all of its parameters; none if they are not initialized, which Gluon tells."""
    try:
        places = [parameter.list_ctx() for parameter in _parameters(block)]
    except RuntimeError:
        return []
    return [place for place in places[0] if all(place in other for other in places)] if places else []


def _parameters(block: Block) -> Iterator[Parameter]:
    """As ``collect_params``, which is too slow to be called for every micro-batch."""
    yield from block._reg_params.values()
    for child in block._children.values():
        yield from _parameters(child)


def _flat(args: Any) -> Iterator[Any]:
    for arg in args:
        if isinstance(arg, (list, tuple)):
            yield from _flat(arg)
        else:
            yield arg
