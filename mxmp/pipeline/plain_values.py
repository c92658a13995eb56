"""Python values as JSON knows them, with their arrays beside them: what is read back can run no code."""
from __future__ import annotations

from typing import Any, Dict, Optional

import mxnet as mx
import numpy as np

Arrays = Dict[str, mx.nd.NDArray]


def plain(value: Any, name: str, arrays: Optional[Arrays] = None) -> Any:
    """What JSON can hold of numbers, texts, lists, tuples, dicts and schedulers.

    A scheduler, or anything else that is called, is its type's name with its attributes: its code is the program's.
    Arrays go to ``arrays``, and are refused without; a ValueError says if anything, which is called ``name``, is none
    of these.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, mx.nd.NDArray) and arrays is not None:
        arrays[name] = value
        return {"array": name}
    if isinstance(value, (list, tuple)):
        items = [plain(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        return {"dict": [[plain(key, name), plain(item, f"{name}/{key}", arrays)] for key, item in value.items()]}
    if _called(value):
        return {"called": [_called(value), {key: plain(item, f"{name}.{key}", arrays)
                                            for key, item in getattr(value, "__dict__", {}).items()}]}
    raise ValueError(f"{name} is of the type {type(value).__name__}, which a file of states cannot hold; keep numbers, "
                     "texts, lists, tuples and dicts of them there, or keep it elsewhere")


def restored(value: Any, current: Any = None, arrays: Optional[Arrays] = None) -> Any:
    """The value that `plain` made ``value`` of; what is called stays the object that it is in ``current``, and gets the
    attributes, so that all who hold it see them. A ValueError says if it is of another type there."""
    kind, content = next(iter(value.items())) if isinstance(value, dict) else (None, value)
    saved_type = content[0] if kind == "called" else None
    if saved_type != _called(current):
        raise ValueError(f"the states were saved with a scheduler of the type {saved_type}, but this one's is "
                         f"{_called(current)}; give the optimizer such a one, and change it after load_states")
    if kind == "called":
        own = getattr(current, "__dict__", {})
        own.update({key: restored(item, own.get(key), arrays) for key, item in content[1].items()})
        return current
    if kind == "array":
        return (arrays or {})[content]
    if kind == "dict":
        own = current if isinstance(current, dict) else {}
        return {key: restored(item, own.get(key), arrays) for key, item in content}
    if isinstance(content, list):
        own = current if isinstance(current, (list, tuple)) and len(current) == len(content) else [None] * len(content)
        items = [restored(item, same, arrays) for item, same in zip(content, own)]
        return tuple(items) if kind == "tuple" else items
    return content


def _called(value: Any) -> Optional[str]:
    """The type of a scheduler, or of anything else that is called; None of all else."""
    return type(value).__name__ if callable(value) and not isinstance(value, type) else None
