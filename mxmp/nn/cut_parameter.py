"""One matrix or vector whose rows live in several parameters, on several contexts."""
from __future__ import annotations

from typing import Any, Dict, List

import mxnet as mx

from .placed import PlacedParameter


class RowsParameter(PlacedParameter):
    """Some rows of a larger parameter, on a context of their own.

    Parameters
    ----------
    name : str
        The full name.
    place : mx.Context
        Where these rows live.
    start : int
        The first row's number in the whole.
    kwargs
        As of `Parameter`; the shape is that of these rows.
    """

    def __init__(self, name: str, place: mx.Context, start: int, **kwargs: Any) -> None:
        super().__init__(name, place, **kwargs)
        self.start = start


class Whole:
    """The face of a parameter that is cut into rows: it is saved, loaded and drawn as if it were in one piece.

    It has what ``save_parameters`` and ``load_parameters`` ask of a Parameter.

    Parameters
    ----------
    parts : list of RowsParameter
        In the order of their rows.
    """

    def __init__(self, parts: List[RowsParameter]) -> None:
        self.parts = parts

    def _reduce(self) -> mx.nd.NDArray:
        """All rows on the CPU."""
        return mx.nd.concat(*[part._reduce() for part in self.parts], dim=0)

    def _load_init(self, data: mx.nd.NDArray, ctx: Any, **kwargs: Any) -> None:
        """Give every part its rows, whatever parts they were in when they were saved."""
        rows = sum(part.shape[0] for part in self.parts)
        if data.shape[0] != rows:
            raise ValueError(f"{self.parts[0].name} and its other parts have {rows} rows, but the file has "
                             f"{data.shape[0]}; it belongs to another vocabulary")
        for part in self.parts:
            part._load_init(data[part.start:part.start + part.shape[0]], ctx, **kwargs)


class DrawnRows(mx.init.Initializer):
    """Draw a matrix as if it were in one piece and take some of its rows: a cut does not change first values.

    Parameters
    ----------
    init : Initializer
        What draws the matrix; its scale may depend on the matrix's shape.
    rows : int
        Number of rows of the whole matrix.
    start : int
        The first of the rows to take.
    drawn : dict
        Empty at first; shared by the initializers of one matrix, which use it in the order of their rows, so that it
        is drawn once.
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
