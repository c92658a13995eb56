"""One optimizer for parameters on several contexts, with the numbers that it would give them if all lived on one.

An MXNet updater takes arrays of one context at a time, and its optimizer counts updates for each number of a context.
Most optimizers treat one array after the other: it is enough to keep the order, and one count. Those with an
``aggregate_num`` take a few at once. They count the updates of all of these before they ask for the learning rate, but
for LAMB; where such a few lie on several contexts, each part must find the optimizer as all of them would.
"""
from __future__ import annotations

import re
from collections import Counter
from itertools import groupby
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Parameter

Update = Tuple[int, mx.nd.NDArray, mx.nd.NDArray]  # index, gradient and array

_OF_WHOLE_PARAMETERS = {"LAMB", "LARS", "LBSGD", "Nadam"}  # they take norms of parameters, or count them


def in_order(parameters: Iterable[Parameter]) -> List[Parameter]:
    """Parameters in Gluon's order, that of their names, but with dense9 before dense10: how far Gluon has counted
    depends on what else a process has made."""
    return sorted(parameters, key=lambda parameter: [
        int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", parameter.name))])


def check_cut(optimizer: mx.optimizer.Optimizer, names: Iterable[str]) -> None:
    """Refuse an optimizer that looks at whole parameters if any is cut into rows, whose parts have one name."""
    kinds = {kind.__name__ for kind in type(optimizer).__mro__} & _OF_WHOLE_PARAMETERS
    for name, parts in Counter(names).items():
        if kinds and parts > 1:
            raise ValueError(f"{kinds.pop()} looks at whole parameters, but the rows of {name} are spread over {parts} "
                             "contexts; use another optimizer, such as 'adam', or one context for it")


def check_skippable(optimizer: mx.optimizer.Optimizer) -> None:
    """Refuse an optimizer that adds gradients up over several updates, where a bad one could not be taken back."""
    if getattr(optimizer, "batch_scale", 1) > 1:
        raise ValueError(f"skip_nonfinite cannot take back what {type(optimizer).__name__} adds up over batch_scale="
                         f"{optimizer.batch_scale} updates; use batch_scale=1 and larger batches")


def apply(updater: mx.optimizer.Updater, updates: Sequence[Update], how: Optional[Callable] = None) -> None:
    """Update arrays in their order, whatever contexts they live on; ``how`` calls the updater, or does what it does."""
    optimizer = updater.optimizer
    counts = optimizer._index_update_count
    at_once = updater.aggregate_updates and not isinstance(optimizer, mx.optimizer.LAMB)
    for few in _fews(updates, optimizer.aggregate_num) if at_once else [updates]:
        if at_once:
            numbers = [counts.get(i, optimizer.begin_num_update) + 1 for i, _, _ in few]
            optimizer.num_update = max(optimizer.num_update, *numbers)
        rate = getattr(optimizer, "cur_lr", None)  # LARS's, the last one; it tells from it how the rate changes
        for context, run in groupby(few, key=lambda update: update[2].context):
            optimizer._all_index_update_counts[context.device_id] = counts
            if at_once and rate is not None:
                optimizer.cur_lr = rate
            for part in [tuple(run)] if at_once or not how else zip(run):  # the fewer at once, the less memory
                if how:
                    how(updater, *zip(*part))
                else:
                    updater(*zip(*part))


def _fews(updates: Sequence[Update], size: int) -> Iterator[List[Update]]:
    """The arrays that an updater hands over at once on one context: up to ``size`` of a type."""
    types: Dict[Any, List[Update]] = {}
    for update in updates:
        types.setdefault(update[2].dtype, []).append(update)
    for alike in types.values():
        for start in range(0, len(alike), size):
            yield alike[start:start + size]
