"""Optimizer states as one flat file that does not depend on the plan."""
from __future__ import annotations

from operator import itemgetter
from typing import Any, Dict, List, Sequence

import mxnet as mx

from ..nn.parameters import RowsParameter
from .cut import concat

_UPDATES = "num_update"


def save_states(path: str, trainers: Sequence[Any], names: Dict[Any, str]) -> None:
    """Write every parameter's optimizer state, ``NAME/0``, ``NAME/1``, ..., and the number of updates; waits for them.

    The names do not depend on where a parameter lives. Those of a parameter that is cut into rows are written in one
    piece, and can be cut anew. There is a trainer for each list of contexts.
    """
    rows: Dict[str, List] = {}
    for trainer in trainers:
        for i, parameter in enumerate(trainer._params):
            for j, state in enumerate(_as_list(trainer._updaters[0].states.get(i))):
                rows.setdefault(f"{names[parameter]}/{j}", []).append((_start(parameter), state))
    arrays = {key: concat([state.as_in_context(mx.cpu()) for _, state in sorted(states, key=itemgetter(0))], 0)
              for key, states in rows.items()}
    arrays[_UPDATES] = mx.nd.array([trainers[0].optimizer.num_update], dtype="int64")
    mx.nd.save(path, arrays)


def load_states(path: str, trainers: Sequence[Any], names: Dict[Any, str]) -> None:
    """Read what `save_states` wrote, onto whatever contexts the parameters live on now; a ValueError says if the file
    has states of other parameters, or not of all."""
    arrays = mx.nd.load(path)
    updates = int(arrays.pop(_UPDATES).asscalar())
    for trainer in trainers:
        optimizer = trainer.optimizer
        optimizer.begin_num_update = optimizer.num_update = updates
        for counts in optimizer._all_index_update_counts.values():
            counts.clear()
        for parameter, context_states in _created(trainer):
            for states in context_states:
                for j, state in enumerate(states):
                    key = f"{names[parameter]}/{j}"
                    saved = _rows(arrays.get(key), parameter)
                    if saved is None or saved.shape != state.shape:
                        raise ValueError(f"{path} has no optimizer state {key} of shape {state.shape}; it belongs to "
                                         "another model or optimizer")
                    saved.copyto(state)


def _start(parameter: Any) -> int:
    """The first row of a parameter that is a part of one cut into rows; 0 of any other."""
    return getattr(parameter, "start", 0)


def _rows(saved: Any, parameter: Any) -> Any:
    """What a saved array has for a parameter: its rows, where it is a part."""
    if saved is None or not isinstance(parameter, RowsParameter):
        return saved
    return saved[parameter.start:parameter.start + parameter.shape[0]]


def _created(trainer: Any) -> List:
    """Each parameter with its states on each of its contexts, made where the optimizer has not made them yet."""
    pairs = []
    for i, parameter in enumerate(trainer._params):
        lists = []
        for updater, data in zip(trainer._updaters, parameter.list_data()):
            if i not in updater.states:
                updater.states[i] = trainer.optimizer.create_state_multi_precision(i, data)
                updater.states_synced[i] = True
            lists.append(_as_list(updater.states[i]))
        pairs.append((parameter, lists))
    return pairs


def _as_list(state: Any) -> List:
    if state is None:
        return []
    return list(state) if isinstance(state, (tuple, list)) else [state]
