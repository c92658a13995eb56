"""What blocks with a recurrent state share: states may be given or left out."""
from __future__ import annotations

from typing import Any, Callable, List

import mxnet as mx
from mxnet.gluon import HybridBlock


class StatefulBlock(HybridBlock):
    """A HybridBlock whose last input may be a list of states, as Gluon's recurrent layers take it.

    Called without states it starts from zeros and returns its output only; called with states it returns
    ``(output, new_states)``. A hybridized block is traced once, for one structure of its inputs, so the traced
    form always has the states; `gluon.rnn.LSTM` remembers the form of its latest call in an attribute
    instead, which two threads would fight over.

    Subclasses define ``begin_state(batch_size, func, **kwargs)`` and a ``hybrid_forward`` whose last input is the
    list of states and that returns ``(output, new_states)``. The first input is time first, (T, N, C).
    """

    def begin_state(self, batch_size: int = 0, func: Callable = mx.nd.zeros, **kwargs: Any) -> List:
        """Returns zero states for ``batch_size`` sequences; ``kwargs`` go to ``func`` (``ctx``, for example)."""
        raise NotImplementedError

    def __call__(self, data: Any, *args: Any) -> Any:
        if args and args[-1] is None:
            args = args[:-1]
        if args and isinstance(args[-1], (list, tuple)):
            return super().__call__(data, *args[:-1], list(args[-1]))
        if isinstance(data, mx.sym.Symbol):
            states = self.begin_state(func=mx.sym.zeros)
        else:
            states = self.begin_state(data.shape[1], ctx=data.context)
        return super().__call__(data, *args, states)[0]
