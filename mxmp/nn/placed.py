"""A parameter that knows where it shall live."""
from __future__ import annotations

from typing import Any, Optional

import mxnet as mx
from mxnet.gluon import Parameter


class PlacedParameter(Parameter):
    """A Parameter that is initialized, and loaded, on its own context, whatever context a surrounding network asks for.

    ``net.initialize(ctx=...)`` and ``net.load_parameters(..., ctx=...)`` give one context to all of a network's
    parameters; here they leave these where their layer works. ``reset_ctx`` is an explicit wish, and moves them.

    Parameters
    ----------
    name : str
        The full name.
    place : mx.Context or None
        Its context; with None it is an ordinary Parameter.
    kwargs
        As of `Parameter`.
    """

    def __init__(self, name: str, place: Optional[mx.Context] = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._place = place

    @property
    def place(self) -> Optional[mx.Context]:
        """Its own context; None once it was moved by ``reset_ctx``, or if it never had one."""
        return self._place

    def initialize(self, init: Any = None, ctx: Any = None, default_init: Any = None,
                   force_reinit: bool = False) -> None:
        """Give it a first value on its context."""
        super().initialize(init, self._place or ctx, default_init or mx.init.Uniform(), force_reinit)

    def reset_ctx(self, ctx: Any) -> None:
        """Move it; from now on it lives where it is told to."""
        self._place = None
        super().reset_ctx(ctx)

    def _load_init(self, data: Any, ctx: Any, *args: Any, **kwargs: Any) -> None:
        super()._load_init(data, self._place or ctx, *args, **kwargs)
