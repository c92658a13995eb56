"""Prepare what comes next in a thread of its own."""
from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Iterable, Iterator, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def prefetch(make: Callable[[Item], Made], items: Iterable[Item], depth: int = 4) -> Iterator[Made]:
    """Yield what a function makes of each item, in order, some of it made ahead in another thread.

    MXNet fills a new array on the CPU only after the operators that wait in that context's queue: a loop that makes
    its batches itself waits for the devices in every step.

    Parameters
    ----------
    make : callable
        Called with one item; its error reaches the caller at that item.
    items : iterable
        What to make something of.
    depth : int, default 4
        How many are made ahead at most.

    Yields
    ------
    object
        ``make(item)`` for every item.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="mxmp-prefetch") as thread:
        ahead: Deque[Future[Made]] = deque()
        try:
            for item in items:
                ahead.append(thread.submit(make, item))
                if len(ahead) > depth:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
