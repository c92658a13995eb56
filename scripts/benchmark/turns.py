"""Time several ways to do a step in one process, in turns."""
from __future__ import annotations

import time
from typing import Any, Callable, Iterator, List, Sequence

import mxnet as mx
from tqdm import tqdm


def rounds(steps: Sequence[Callable[[], Any]], repeats: int, warmup_steps: int) -> Iterator[List[float]]:
    """Yield, after each round that counts, the seconds that every step took in it.

    Parameters
    ----------
    steps : sequence of callable
        Each issues its work; the time until all of it is done counts.
    repeats : int
        Rounds that count.
    warmup_steps : int
        Rounds before them.
    """
    for turn in tqdm(range(warmup_steps + repeats), "rounds", leave=False, disable=None):
        seconds = [_seconds(step) for step in steps]
        if turn >= warmup_steps:
            yield seconds


def _seconds(step: Callable[[], Any]) -> float:
    mx.nd.waitall()
    begin = time.perf_counter()
    step()
    mx.nd.waitall()
    return time.perf_counter() - begin
