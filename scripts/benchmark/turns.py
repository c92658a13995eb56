"""Time several ways to do a step in one process, in turns."""
from __future__ import annotations

import time
from typing import Any, Callable, Iterator, List, Sequence

import mxnet as mx
from tqdm import tqdm

from .options import Options


def rounds(steps: Sequence[Callable[[], Any]], options: Options) -> Iterator[List[float]]:
    """Yield, after each round that counts, the seconds until all that each step issued in it was done."""
    for number in tqdm(range(options.warmup_steps + options.repeats), "rounds", leave=False, disable=None):
        seconds = [_seconds(step) for step in steps]
        if number >= options.warmup_steps:
            yield seconds


def _seconds(step: Callable[[], Any]) -> float:
    mx.nd.waitall()
    begin = time.perf_counter()
    step()
    mx.nd.waitall()
    return time.perf_counter() - begin
