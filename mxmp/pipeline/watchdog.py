"""Tell of steps that do not end, and where they are stuck, without waiting for anything that may be."""
from __future__ import annotations

import ctypes
from collections import deque
from threading import Event, Thread
from typing import Any, Callable, Deque, Dict, Hashable, List, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np
from mxnet.base import _LIB, check_call

from .errors import Issued
from .stamps import stamp
from .turn import Turn


class Computed(NamedTuple):
    """A step that was issued as the ``number``-th, and may still be being computed."""

    number: int
    issued: Issued


class Watchdog:
    """A thread that calls ``stalled`` once nothing of a pipeline's steps has come further for some ``seconds``.

    `Pipeline.watchdog` makes it. ``stalled`` gets the place in words: what the stages' threads are in, if a step is
    being issued; otherwise the first work of each stage whose results are not there, causes before effects: the others
    may wait for the first, or all for what their contexts do besides. In the memory of contexts other than CPUs nobody
    can look without waiting: of these it names the stages only. A layer that holds Python's lock holds this thread,
    too.

    Seconds are counted as a thread sleeps: those in which the process is stopped are left out.

    Parameters
    ----------
    seconds : float
        How long nothing may come further.
    stalled : callable
        Takes the place; it is called once, in this thread.

    Raises
    ------
    ValueError
        If ``seconds`` are not positive.
    """

    def __init__(self, seconds: float, stalled: Callable[[str], None]) -> None:
        if not seconds > 0:
            raise ValueError(f"a watchdog's seconds must be positive, got {seconds}")
        self._seconds, self._stalled, self._count = seconds, stalled, 0
        self._step: Optional[Turn] = None
        self._computed: Deque[Computed] = deque()
        self._ended = Event()
        Thread(target=self._watch, name="mxmp-watchdog", daemon=True).start()

    def begin(self, step: Turn) -> None:
        """Watch a step that is to be issued, until `issued` or `end`."""
        self._step = step

    def end(self) -> None:
        """Note that the step that was begun is issued, or that an error ended it."""
        self._step = None

    def issued(self, issued: Issued) -> None:
        """Watch a step, which was ``issued``, until it is computed."""
        if self._ended.is_set():
            return
        self._count += 1
        self._computed.append(Computed(self._count, issued))
        stamp(issued.fence, self, self._count)

    def note(self, number: int) -> None:
        """Note that the steps up to the ``number``-th have been computed; called by the engine."""
        while self._computed and self._computed[0].number <= number:
            self._computed.popleft()

    def stop(self) -> None:
        """End the watch."""
        self._ended.set()

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stop()

    def _watch(self) -> None:
        tick = min(1.0, self._seconds / 4)
        seen: Dict[str, Tuple[Hashable, float]] = {}
        while not self._ended.wait(tick):
            states = self._states()
            seen = {name: (state, seen[name][1] + tick if name in seen and seen[name][0] == state else 0.0)
                    for name, state in states.items()}
            if any(idle >= self._seconds for _, idle in seen.values()):
                self._stalled(self._place())
                return

    def _states(self) -> Dict[str, Hashable]:
        """How far issuing and computing are, of what is under way."""
        step, computed = self._step, next(iter(list(self._computed)), None)
        states: Dict[str, Hashable] = {}
        if step is not None:
            states["issuing"] = id(step), step.issued()
        if computed is not None:
            states["computing"] = computed.number, sum(left is False for _, left in _reached(computed.issued))
        return states

    def _place(self) -> str:
        step, computed = self._step, next(iter(list(self._computed)), None)
        if step is not None:
            return "issuing " + (step.doing() or "a step, outside of its layers")
        if computed is None:
            return "a step that has ended meanwhile"
        first: Dict[str, str] = {}
        for place, left in _reached(computed.issued):
            stage = place.split(",")[0]
            if left is not False:
                first.setdefault(stage, f"{stage}, where nobody can look" if left is None else place)
        stuck, *others = first.values() or ["what comes after the last layer"]
        return f"computing {stuck}" + (f"; not there, either: {'; '.join(others)}" if others else "")


def _reached(issued: Issued) -> List[Tuple[str, Optional[bool]]]:
    """The places of a step's probes, causes before effects, and whether each is left to be reached; None if that
    cannot be seen."""
    values = {id(probe.array): peek(probe.array) for probe in issued.probes}
    return [(place, None if values[id(array)] is None else bool(values[id(array)][position]))  # type: ignore[index]
            for place, array, position in issued.probes]


def peek(array: mx.nd.NDArray) -> Optional[np.ndarray]:
    """An array's numbers, float32, as they are in memory now, whatever is still to be written; ones if it has no
    memory yet, and None if that is not a CPU's."""
    if array.context.device_type != "cpu":
        return None
    pointer = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    if not pointer.value:
        return np.ones(array.shape, "float32")
    numbers = (ctypes.c_float * array.size).from_address(pointer.value)
    return np.array(numbers, "float32").reshape(array.shape)
