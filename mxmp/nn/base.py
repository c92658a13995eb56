"""What the blocks here share: they work where their parameters are, and states may be given or left out."""
from __future__ import annotations

from typing import Any, Callable, Iterator, List, Optional, Tuple

import mxnet as mx
from mxnet.gluon import Block, HybridBlock, Parameter
from mxnet.gluon.loss import CTCLoss
from mxnet.gluon.rnn.rnn_layer import _RNNLayer

LAYOUTS = ("TNC", "NTC")


class TracedBlock(HybridBlock):
    """A HybridBlock that computes with the parameters that it has, hybridized or not.

    Weight drop and its like put other parameters in their place (``gluonnlp.model.apply_weight_drop``); a hybridized
    block of Gluon's goes on with those that it was traced with.
    """

    def _call_cached_op(self, *args: Any) -> Any:
        traced = {parameter for is_input, parameter in self._cached_op_args if not is_input}
        if not traced.issubset(parameters_of(self)):
            self._clear_cached_op()
        return super()._call_cached_op(*args)


class MovingBlock(TracedBlock):
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
    contexts = _common_contexts(block)
    return _move(args, first.context if not contexts or first.context in contexts else contexts[0])


def _move(arg: Any, context: mx.Context) -> Any:
    if isinstance(arg, (list, tuple)):
        return type(arg)([_move(item, context) for item in arg])
    return arg.as_in_context(context) if isinstance(arg, mx.nd.NDArray) else arg


def _common_contexts(block: Block) -> List[mx.Context]:
    """Contexts on which the block has all of its parameters; none if they are not initialized, which Gluon tells."""
    try:
        contexts = [parameter.list_ctx() for parameter in parameters_of(block)]
    except RuntimeError:
        return []
    return [context for context in contexts[0] if all(context in own for own in contexts)] if contexts else []


def descendants(block: Block) -> Iterator[Block]:
    """The block, and all that are in it."""
    yield block
    for child in block._children.values():
        yield from descendants(child)


def parameters_of(block: Block) -> Iterator[Parameter]:
    """As ``collect_params``, which is too slow to be called for every micro-batch."""
    for each in descendants(block):
        yield from each.params.values()


def _flat(args: Any) -> Iterator[Any]:
    for arg in args:
        if isinstance(arg, (list, tuple)):
            yield from _flat(arg)
        else:
            yield arg


class StatefulBlock(TracedBlock):
    """A HybridBlock whose last input may be a list of states, as Gluon's recurrent layers take it.

    Called without states it starts from zeros and returns its output only; called with states it returns
    ``(output, new_states)``. A hybridized block is traced once, for one structure of its inputs, so the traced
    form always has the states; `gluon.rnn.LSTM` remembers the form of its latest call in an attribute
    instead, which two threads would fight over.

    Subclasses define ``begin_state(batch_size, func, **kwargs)`` and a ``hybrid_forward`` whose last input is the
    list of states and that returns ``(output, new_states)``. The first input and the output are time first, (T, N, C),
    unless the attribute ``layout`` is 'NTC'. Inputs and states from another context than the parameters' are moved
    there, as of every block here.

    Exported by itself the block has its states as inputs and outputs (``data0``, ``data1``, ...), inside another block
    only if that passes them on.
    """

    layout = "TNC"

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """Returns zero states for ``batch_size`` sequences; ``kwargs`` go to ``func`` (``ctx``, for example)."""
        raise NotImplementedError

    def __call__(self, data: Any, *args: Any) -> Any:
        if args and args[-1] is None:
            args = args[:-1]
        data, args = move_to(self, (data, args))  # before zero states are made for it
        if isinstance(data, mx.nd.NDArray):
            check_sequence(data.shape, self.layout)
        if args and isinstance(args[-1], (list, tuple)):
            return super().__call__(data, *args[:-1], list(args[-1]))
        if isinstance(data, mx.sym.Symbol):
            states = self.begin_state(func=mx.sym.zeros)
        elif isinstance(data, mx.nd.NDArray):
            states = self.begin_state(data.shape[self.layout.index("N")], ctx=data.context)
        else:
            return super().__call__(data, *args)  # Gluon says what a block takes
        return super().__call__(data, *args, states)[0]


def layout_of(block: Any) -> Optional[str]:
    """'TNC' or 'NTC' if a block, Gluon's recurrent layers and CTCLoss too, has a layout of its own, else None."""
    own = block._layout if isinstance(block, (_RNNLayer, CTCLoss)) else getattr(block, "layout", None)
    return own if own in LAYOUTS else None


def check_layout(layout: str) -> None:
    """Refuse a ``layout`` that is none."""
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be 'TNC' or 'NTC', got {layout!r}")


def check_sequence(shape: Tuple[int, ...], layout: str = "TNC") -> None:
    """Refuse what MXNet's RNN operator refuses less clearly, or lets end the process (docs/pipeline.md)."""
    if len(shape) != 3:
        raise ValueError(f"data must have three axes {layout} (T steps, N rows, C wide), got shape {shape}")
    if not (shape[layout.index("N")] and shape[layout.index("T")]):
        raise ValueError(f"data of shape {shape} ({layout}) has no rows or no steps, for which MXNet's RNN operator "
                         "ends the process; leave empty batches out")
