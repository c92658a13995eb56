"""What a chain's layers hand on: arrays, alone or in lists, and None and numbers between them."""
from __future__ import annotations

from numbers import Number
from typing import Any, Iterable, List, NamedTuple, Tuple

import mxnet as mx
from mxnet.ndarray.sparse import BaseSparseNDArray

Arrays = Tuple[mx.nd.NDArray, ...]


class _Slot(NamedTuple):
    """The place of an array: its number, and whether it is one of MXNet's NumPy arrays."""

    number: int
    is_np: bool

    def __repr__(self) -> str:
        return "array"


class Packed(NamedTuple):
    """The arrays among some items, which are cut, copied and differentiated, apart from all the rest.

    ``structure`` has the items' form, a slot in the place of each array; None and numbers stay in it.
    """

    arrays: Arrays
    structure: Tuple

    def unpack(self) -> Tuple:
        """The items again, with these arrays."""
        return _fill(self.structure, self.arrays)


def pack(items: Iterable[Any], giver: str) -> Packed:
    """Take items apart, each an array, None, a number, or a tuple or list of such.

    Everything else is refused by a ValueError, which begins with the words ``giver``, "Dense returned" for example.
    """
    arrays: List[mx.nd.NDArray] = []
    structure = tuple(_empty(item, arrays, giver) for item in items)
    return Packed(tuple(arrays), structure)


def pack_outputs(items: Iterable[Any], giver: str) -> Packed:
    """As `pack`, of items that hold at least one array; a layer's that hold none are a forgotten ``return``."""
    packed = pack(items, giver)
    if not packed.arrays:
        raise ValueError(f"{giver} {', '.join(map(repr, packed.structure)) or 'nothing'}, no array; let its forward "
                         "method return one")
    return packed


def _empty(item: Any, arrays: List[mx.nd.NDArray], giver: str) -> Any:
    """An item's structure; its arrays are appended."""
    if isinstance(item, mx.nd.NDArray) and not isinstance(item, BaseSparseNDArray):
        is_np = isinstance(item, mx.np.ndarray)
        arrays.append(item.as_nd_ndarray() if is_np else item)
        return _Slot(len(arrays) - 1, is_np)
    if type(item) in (tuple, list):
        return type(item)([_empty(each, arrays, giver) for each in item])
    if item is None or isinstance(item, Number):
        return item
    dense = "; mx.nd.array(x) makes an array of it" if hasattr(item, "__array__") else ""
    raise ValueError(f"{giver} a {type(item).__name__}, {_short(item)}; what goes through a pipeline are dense arrays "
                     f"of MXNet's, alone or in tuples and lists, numbers and None{dense}")


def _fill(structure: Any, arrays: Arrays) -> Any:
    if isinstance(structure, _Slot):
        array = arrays[structure.number]
        return array.as_np_ndarray() if structure.is_np else array
    if isinstance(structure, (tuple, list)):
        return type(structure)([_fill(each, arrays) for each in structure])
    return structure


def _short(item: Any) -> str:
    """An item's text in one line; an array's would wait for it."""
    text = f"of shape {item.shape}" if hasattr(item, "shape") else " ".join(repr(item).split())
    return text if len(text) <= 60 else text[:57] + "..."
