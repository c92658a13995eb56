"""Optimizer states as one flat file that depends on no plan, and that runs no code where it is read."""
from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import Parameter

from ..nn.parameters import RowsParameter
from ..writing import write_arrays
from .cut import concat
from .plain_values import Arrays, plain, restored

Named = Sequence[Tuple[Parameter, str]]  # by the index that the optimizer knows a parameter by

_TEXT = "/json"  # the key of what is no array; no parameter's name begins like that
# the parameters, what every update and every process set anew, and a view by context of the counts
_LEFT_OUT = {"param_dict", "rescale_grad", "allow_np_array", "_all_index_update_counts"}


def save_states(path: str, optimizer: Any, states: Dict[int, Any], named: Named) -> None:
    """Write each parameter's state, and what the optimizer and its scheduler hold themselves; waits for the arrays.

    Arrays are called ``NAME``, ``NAME/0``, ``NAME/1/0`` and so on, by their places in a state; all else is JSON, as
    bytes. Names do not depend on where a parameter lives, and the states of one that is cut into rows are written in
    one piece, which can be cut anew.
    """
    arrays: Arrays = {}
    kind, indices = type(optimizer).__name__, _indices(named)
    held = {key: value for key, value in vars(optimizer).items() if key not in _LEFT_OUT}
    by_index = sorted(key for key, value in held.items() if _is_by_index(value, len(named)))
    text = {
        "optimizer": kind,
        "shapes": {name: _shape(named, own) for name, own in indices.items()},
        "states": {name: plain(_whole([states[i] for i in own], [named[i][0] for i in own]), name, arrays)
                   for name, own in indices.items() if own[0] in states},
        "attributes": {key: plain(value, f"{kind}.{key}") for key, value in held.items() if key not in by_index},
        "by_parameter": {key: {named[i][1]: plain(value, f"{kind}.{key}[{i}]") for i, value in held[key].items()}
                         for key in by_index},
    }
    arrays[_TEXT] = mx.nd.array(np.frombuffer(json.dumps(text).encode(), "uint8"), dtype="uint8")
    write_arrays(path, {name: array.as_in_context(mx.cpu()) for name, array in arrays.items()})


def load_states(path: str, optimizer: Any, named: Named) -> Dict[int, Any]:
    """Give the optimizer what `save_states` wrote of it, and return the parameters' states, by index, on the CPU; a
    ValueError says if the file belongs to another model or optimizer."""
    text, arrays = _read(path)
    kind, indices = type(optimizer).__name__, _indices(named)
    if text["optimizer"] != kind:
        raise ValueError(f"{path} has the states of the optimizer {text['optimizer']}, but this one is {kind}")
    for name in sorted({*text["shapes"], *indices}):
        saved, own = text["shapes"].get(name), _shape(named, indices.get(name, []))
        if not _fit(saved, own):
            raise ValueError(f"{path} belongs to another model: the shape of {name} is {saved or 'unknown'} there and "
                             f"{own or 'unknown'} here")
    attributes = {key: restored(value, vars(optimizer).get(key)) for key, value in text["attributes"].items()}
    for key, values in text["by_parameter"].items():
        attributes[key] = {i: restored(value) for name, value in values.items() for i in indices[name]}
    vars(optimizer).update(attributes)
    return {i: _rows(restored(state, None, arrays), named[i][0]) for name, state in text["states"].items()
            for i in indices[name]}


def _read(path: str) -> Tuple[Dict[str, Any], Arrays]:
    try:
        arrays = mx.nd.load(path)
        return json.loads(arrays.pop(_TEXT).asnumpy().tobytes()), arrays
    except (mx.base.MXNetError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of states that mxmp.Trainer wrote") from error


def _is_by_index(value: Any, count: int) -> bool:
    """Whether an optimizer's attribute has a value for each of some parameters, such as its numbers of updates."""
    return isinstance(value, dict) and bool(value) and all(type(key) is int and 0 <= key < count for key in value)


def _indices(named: Named) -> Dict[str, List[int]]:
    """The index of each name; several, in the rows' order, of a parameter that is cut into rows."""
    indices: Dict[str, List[int]] = {}
    for i in sorted(range(len(named)), key=lambda i: getattr(named[i][0], "start", 0)):
        indices.setdefault(named[i][1], []).append(i)
    return indices


def _shape(named: Named, indices: List[int]) -> Optional[List[int]]:
    """The shape of a parameter in one piece; None of one that is not there."""
    shapes = [list(named[i][0].shape) for i in indices]
    return [sum(shape[0] for shape in shapes), *shapes[0][1:]] if len(shapes) > 1 else shapes[0] if shapes else None


def _fit(saved: Optional[List[int]], own: Optional[List[int]]) -> bool:
    """Whether shapes are the same, as far as they are known before the first input comes."""
    if saved is None or own is None or len(saved) != len(own):
        return False
    return all(a == b or min(a, b) <= 0 for a, b in zip(saved, own))


def _whole(states: List[Any], parameters: List[Parameter]) -> Any:
    """One state of those of a parameter's parts, in the rows' order; the state itself of an undivided parameter."""
    if len(states) == 1:
        return states[0]
    if isinstance(states[0], (tuple, list)):
        return type(states[0])(_whole(list(same), parameters) for same in zip(*states))
    if not isinstance(states[0], mx.nd.NDArray):
        return states[0]
    if any(state.shape[:1] != parameter.shape[:1] for state, parameter in zip(states, parameters)):
        raise ValueError(f"a state of {parameters[0].name} has the shape {states[0].shape}, not the parameter's rows, "
                         "which are spread over contexts; use one context for it, or another optimizer")
    return concat([state.as_in_context(mx.cpu()) for state in states], 0)


def _rows(state: Any, parameter: Parameter) -> Any:
    """What the state of an undivided parameter has for one: its rows, where it is a part."""
    if not isinstance(parameter, RowsParameter):
        return state
    if isinstance(state, (tuple, list)):
        return type(state)(_rows(each, parameter) for each in state)
    if isinstance(state, mx.nd.NDArray):
        return state[parameter.start:parameter.start + parameter.shape[0]].copy()
    return state
