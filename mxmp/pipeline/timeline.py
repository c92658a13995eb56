"""When each unit really ran: recorded on request, drawn as the figures in pipeline papers are."""
from __future__ import annotations

import time
from typing import Any, List, NamedTuple, Sequence

from .schedule import Unit
from .stage import Stage

_COLOURS = {"F": "#8fb8de", "B": "#f2b279"}


class Span(NamedTuple):
    """A unit with its start and end, in seconds since the recording began."""

    unit: Unit
    start: float
    end: float


class Timeline:
    """Record the units of a pipeline's steps: ``pipe.timeline = Timeline()``; ``None`` ends the recording.

    A recorded stage waits for each unit's inputs before it begins and for its results after it ends, so that
    the times are those of the work and not of its issuing. Without a timeline no stage ever waits.
    """

    def __init__(self) -> None:
        self.spans: List[Span] = []
        self._origin = time.perf_counter()

    def begin(self, inputs: Sequence[Any]) -> float:
        """Wait for a unit's inputs; returns the time."""
        for array in inputs:
            array.wait_to_read()
        return time.perf_counter() - self._origin

    def end(self, unit: Unit, begun: float, outputs: Sequence[Any], stage: Stage) -> None:
        """Wait for a unit's results and note when it ran."""
        for array in outputs:
            array.wait_to_read()
        if unit.kind == "B":
            for parameter in stage.parameters:
                if parameter.grad_req != "null":
                    parameter.grad(stage.context).wait_to_read()
        self.spans.append(Span(unit, begun, time.perf_counter() - self._origin))

    def busy_share(self) -> float:
        """Share of stages x time in which units ran, 0 to 1."""
        length = max(s.end for s in self.spans) - min(s.start for s in self.spans)
        stages = 1 + max(s.unit.stage for s in self.spans)
        return sum(s.end - s.start for s in self.spans) / (length * stages)

    def save(self, path: str, contexts: Sequence[Any] = ()) -> None:
        """Draw the recorded step: a row per context, a box per unit, bubbles left white.

        Parameters
        ----------
        path : str
            The picture's file; its ending chooses the format.
        contexts : sequence
            Names of the rows; by default the stages' numbers.

        Raises
        ------
        ValueError
            If nothing was recorded.
        """
        if not self.spans:
            raise ValueError("nothing was recorded; set pipe.timeline = Timeline() before a step")
        from matplotlib.figure import Figure
        stages = 1 + max(s.unit.stage for s in self.spans)
        begin = min(s.start for s in self.spans)
        figure = Figure(figsize=(10, 0.8 + 0.7 * stages), layout="constrained")
        axes = figure.subplots()
        for unit, start, end in self.spans:
            axes.barh(unit.stage, 1e3 * (end - start), left=1e3 * (start - begin), height=0.8,
                      color=_COLOURS[unit.kind], edgecolor="white")
            axes.text(1e3 * ((start + end) / 2 - begin), unit.stage, str(unit), ha="center", va="center", fontsize=8)
        axes.set_yticks(range(stages), [str(c) for c in contexts] or [f"stage {i}" for i in range(stages)])
        axes.invert_yaxis()
        axes.set_xlabel("milliseconds")
        axes.spines[["top", "right", "left"]].set_visible(False)
        microbatches = 1 + max(s.unit.microbatch for s in self.spans)
        ideal = microbatches / (microbatches + stages - 1)
        axes.set_title(f"{stages} contexts busy {self.busy_share():.0%} of the time (this schedule's ideal with equal "
                       f"stages: {ideal:.0%})", fontsize=10)
        figure.savefig(path, dpi=130)
