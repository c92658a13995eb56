"""Parameters that know their context, and one matrix or vector whose rows live in several of them."""
from __future__ import annotations

from typing import Any, Dict, List, Optional

import mxnet as mx
from mxnet.gluon import Parameter


class PinnedParameter(Parameter):
    """A Parameter that is initialized, and loaded, on its own context, whatever context a surrounding network asks for.

    ``net.initialize(ctx=...)`` and ``net.load_parameters(..., ctx=...)`` give one context to all of a network's
    parameters; here they leave these where their layer works. ``reset_ctx`` is an explicit wish, and moves them. With
    None for a context it is an ordinary Parameter.
    """

    def __init__(self, name: str, context: Optional[mx.Context] = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._context = context

    @property
    def context(self) -> Optional[mx.Context]:
        """Its own context; None once it was moved by ``reset_ctx``, or if it never had one."""
        return self._context

    def initialize(self, init: Any = None, ctx: Any = None, default_init: Any = None,
                   force_reinit: bool = False) -> None:
        """Give it a first value on its context."""
        super().initialize(init, self._context or ctx, default_init or mx.init.Uniform(), force_reinit)

    def reset_ctx(self, ctx: Any) -> None:
        """Move it; from now on it lives where ``ctx`` says."""
        self._context = None
        super().reset_ctx(ctx)

    def _set_trainer(self, trainer: Any) -> None:
        """Gluon's trainer calls this before it looks for contexts that differ, and knows no remedy."""
        first = trainer._params[0]
        if type(trainer) is mx.gluon.Trainer and first.list_ctx() != self.list_ctx():
            raise ValueError(f"gluon.Trainer needs all parameters on one context, but {first.name} is on "
                             f"{first.list_ctx()} and {self.name} on {self.list_ctx()}; use mxmp.Trainer with the "
                             "whole block, mxmp.Trainer(net, ...)")
        super()._set_trainer(trainer)

    def _load_init(self, data: Any, ctx: Any, *args: Any, **kwargs: Any) -> None:
        super()._load_init(data, self._context or ctx, *args, **kwargs)


class RowsParameter(PinnedParameter):
    """Some rows of a larger parameter, from the ``start``-th on, on a context of their own; its shape is theirs."""

    def __init__(self, name: str, context: mx.Context, start: int, **kwargs: Any) -> None:
        super().__init__(name, context, **kwargs)
        self.start = start


class Whole:
    """The face of a parameter that is cut into rows: it is saved, loaded and drawn as if it were in one piece.

    It has what ``save_parameters`` and ``load_parameters`` ask of a Parameter; its shards are in the rows' order.
    """

    def __init__(self, shards: List[RowsParameter]) -> None:
        self.shards = shards

    def _reduce(self) -> mx.nd.NDArray:
        """All rows on the CPU."""
        return mx.nd.concat(*[shard._reduce() for shard in self.shards], dim=0)

    def _load_init(self, data: mx.nd.NDArray, ctx: Any, **kwargs: Any) -> None:
        """Give every shard its rows, whatever shards they were in when they were saved."""
        rows = sum(shard.shape[0] for shard in self.shards)
        if data.shape[0] != rows:
            raise ValueError(f"{self.shards[0].name} and its other parts have {rows} rows, but the file has "
                             f"{data.shape[0]}; it belongs to another vocabulary")
        for shard in self.shards:
            shard._load_init(data[shard.start:shard.start + shard.shape[0]], ctx, **kwargs)


class DrawnRows(mx.init.Initializer):
    """Draw a matrix of ``rows`` as if it were in one piece and take some, from ``start`` on: a cut changes no first
    values.

    What draws the matrix may look at its whole shape. ``drawn``, empty at first, is shared by the initializers of one
    matrix, which use it in the order of their rows, so that it is drawn once.
    """

    def __init__(self, init: mx.init.Initializer, rows: int, start: int, drawn: Dict[str, mx.nd.NDArray]) -> None:
        super().__init__()
        self._init, self._rows, self._start, self._drawn = init, rows, start, drawn

    def _init_weight(self, name: Any, arr: mx.nd.NDArray) -> None:
        if not self._start or "whole" not in self._drawn:
            self._drawn["whole"] = mx.nd.zeros((self._rows, *arr.shape[1:]), dtype=arr.dtype)
            self._init._init_weight(name, self._drawn["whole"])
        end = self._start + arr.shape[0]
        arr[:] = self._drawn["whole"][self._start:end]
        if end == self._rows:
            del self._drawn["whole"]
