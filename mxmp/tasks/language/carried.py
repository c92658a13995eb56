"""Recurrent states that go from one training step to the next, and through a checkpoint."""
from __future__ import annotations

from pathlib import Path

import mxnet as mx

from ...pipeline import Pipeline
from ...pipeline.states import States

_FILE = "states.params"


class Carried:
    """The states that the next step begins with.

    Parameters
    ----------
    pipe : Pipeline
        Whose states they are.
    batch_size : int
        Rows of a step.

    Attributes
    ----------
    states : list of list of NDArray
        The arrays of each stateful layer, on its context; empty before `begin` or `load`.
    """

    def __init__(self, pipe: Pipeline, batch_size: int) -> None:
        self._pipe, self._batch_size = pipe, batch_size
        self.states: States = []

    def begin(self) -> None:
        """Begin with zeros."""
        self.states = self._pipe.begin_state(self._batch_size)

    def save(self, folder: Path) -> None:
        """Write ``states.params`` into ``folder``; waits for the states."""
        mx.nd.save(str(folder / _FILE), {f"{i}/{j}": array.as_in_context(mx.cpu())
                                         for i, layer in enumerate(self.states) for j, array in enumerate(layer)})

    def load(self, folder: Path) -> None:
        """Read what `save` wrote into ``folder``, onto whatever contexts the layers live on now."""
        saved = mx.nd.load(str(folder / _FILE))
        self.states = [[saved[f"{i}/{j}"].as_in_context(array.context) for j, array in enumerate(layer)]
                       for i, layer in enumerate(self._pipe.begin_state(self._batch_size))]
