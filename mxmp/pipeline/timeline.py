"""When each unit really ran, noted by the engine itself."""
from __future__ import annotations

import json
import time
from threading import Lock
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import mxnet as mx

from ..pictures import draw_units
from ..schedule import SCHEDULES, Span, Unit, needs, rounds, rows_of_stages
from ..writing import write_aside
from .stamps import stamp


class Timeline:
    """A recording of a pipeline's units, made by `Pipeline.timeline`.

    The engine notes the time when a unit's results are there, in a thread of MXNet's that no unit waits for: the times
    are those of the work, not of its issuing. A unit starts when it has been issued, the unit before it in its row
    of the schedule has ended, and what it takes from other stages is there; so its time includes the transfer. Neither
    the steps nor the units wait for the notes; `spans` and what uses them do.

    Parameters
    ----------
    contexts : sequence of mx.Context
        The stages'.
    schedule : str, default "1f1b"
        What the pipeline runs.

    Attributes
    ----------
    contexts : tuple of mx.Context
        Of each row: the stages' or, if these are interleaved, each once.
    recording : bool
        False once it was stopped.

    Examples
    --------
    >>> with pipe.timeline() as timeline:
    ...     loss = pipe.forward_backward(data, label)
    >>> timeline.save("step.png")
    >>> timeline.save_trace("step.json")
    """

    def __init__(self, contexts: Sequence[mx.Context], schedule: str = "1f1b") -> None:
        self._stages, self._schedule, self._streaming = tuple(contexts), SCHEDULES[schedule], schedule == "continuous"
        self._rows = rows_of_stages(self._schedule(self._stages, 1, 1))
        self.contexts = tuple(self._stages[self._rows.index(row)] for row in range(max(self._rows) + 1))
        self.recording = True
        self._origin = time.perf_counter()
        self._issued: List[Tuple[int, Unit, float]] = []  # step, unit, time
        self._ends: Dict[int, float] = {}  # by the place in self._issued
        self._open: Dict[int, int] = {}  # by stage, the place of the unit that has begun
        self._steps = 0
        self._stamps: List[mx.nd.NDArray] = []
        self._lock = Lock()

    def step(self) -> StepNotes:
        """What notes the units of one more step."""
        self._steps += 1
        return StepNotes(self, self._steps)

    def begin(self, step: int, unit: Unit) -> None:
        """Note that ``unit`` of a ``step`` is being issued."""
        with self._lock:
            self._open[unit.stage] = len(self._issued)
            self._issued.append((step, unit, time.perf_counter() - self._origin))

    def end(self, unit: Unit, token: mx.nd.NDArray) -> None:
        """Let the engine note the time at which ``token``, an NDArray, is there as the end of ``unit``."""
        self._stamps.append(stamp(token, self, self._open[unit.stage]))

    def note(self, number: int) -> None:
        """Note the time as the end of the unit that was issued as the ``number``-th, from 0; called by the engine."""
        self._ends[number] = time.perf_counter() - self._origin

    def stop(self) -> None:
        """End the recording."""
        self.recording = False

    def __enter__(self) -> Timeline:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stop()

    @property
    def spans(self) -> List[Span]:
        """The recorded units, as (unit, start, end) in seconds, by their start; those that failed are left out.

        It waits until all of them have ended.

        Raises
        ------
        ValueError
            If nothing was recorded.
        """
        while self._stamps:
            self._stamps.pop().wait_to_read()
        if not self._issued:
            raise ValueError("nothing was recorded; run steps inside `with pipe.timeline() as timeline:`")
        num_chunks = 1 + max(unit.chunk for _, unit, _ in self._issued)
        ends: Dict[Tuple[int, Unit], float] = {}
        free: Dict[int, float] = {}
        spans = []
        for number, (step, unit, issued) in enumerate(self._issued):  # what a unit needs was issued before it
            if number not in self._ends:  # an error came before its end
                continue
            taken = [ends.get((step, other), 0.0) for other in needs(unit, len(self._stages), num_chunks)]
            row = self._rows[unit.stage]
            start = max(issued, free.get(row, 0.0), *taken, 0.0)
            ends[step, unit] = free[row] = max(start, self._ends[number])  # a note may come a little late
            spans.append(Span(unit, start, ends[step, unit]))
        return sorted(spans, key=lambda span: span.start)

    def busy_share(self) -> float:
        """The share of rows x time in which units ran, 0 to 1; errors as of `spans`."""
        spans = self.spans
        length = max(s.end for s in spans) - spans[0].start
        return sum(s.end - s.start for s in spans) / (length * len(self.contexts))

    def ideal_share(self) -> float:
        """What `busy_share` would be if all units of a direction took equally long and nothing else took time."""
        units = [unit for unit, _, _ in self.spans]
        steps = self._steps if self._streaming else 1  # each of others has a bubble of its own
        ideal = rounds(self._schedule(self._stages, steps * (1 + max(unit.microbatch for unit in units)),
                                      1 + max(unit.chunk for unit in units)))
        return sum(unit is not None for row in ideal for unit in row) / (len(ideal) * len(self.contexts))

    def save(self, path: str) -> None:
        """Draw the recording to ``path``, a row per context, bubbles left white; its ending chooses the format."""
        draw_units(path, self.spans, list(map(str, self.contexts)),
             f"{len(self.contexts)} contexts busy {self.busy_share():.0%} of the time (ideal with equal stages: "
             f"{self.ideal_share():.0%})", self._rows)

    def save_trace(self, path: str) -> None:
        """Write the recording to ``path`` in Chrome's trace format, for chrome://tracing or Perfetto."""
        names = [{"name": "thread_name", "ph": "M", "pid": 0, "tid": i, "args": {"name": str(context)}}
                 for i, context in enumerate(self.contexts)]
        staged = len(self._stages) > len(self.contexts)
        events = [{"name": f"{unit.stage}{unit}" if staged else str(unit), "ph": "X", "pid": 0,
                   "cat": "forward" if unit.kind == "F" else "backward", "tid": self._rows[unit.stage],
                   "ts": 1e6 * start, "dur": 1e6 * (end - start),
                   "args": {"microbatch": unit.microbatch, "chunk": unit.chunk}} for unit, start, end in self.spans]
        with write_aside(path) as partial, open(partial, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": names + events, "displayTimeUnit": "ms"}, file)


class StepNotes(NamedTuple):
    """What the units of a ``step`` are noted with."""

    timeline: Timeline
    step: int

    def begin(self, unit: Unit) -> None:
        """As `Timeline.begin`."""
        self.timeline.begin(self.step, unit)

    def end(self, unit: Unit, token: mx.nd.NDArray) -> None:
        """As `Timeline.end`."""
        self.timeline.end(unit, token)
