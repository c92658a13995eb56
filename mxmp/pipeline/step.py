"""One step: the queues between the stages, and what each stage's thread does with its units."""
from __future__ import annotations

from queue import SimpleQueue
from typing import Any, List, Optional, Sequence, Tuple

from .schedule import Unit
from .stage import Stage
from .timeline import Timeline


class Stopped(RuntimeError):
    """Raised in a stage that stops because another one failed."""


class Step:
    """What the stages' threads share while they run one schedule.

    The queues carry handles of arrays that may still be being computed; MXNet's engine starts a stage's
    operators when their inputs are there.

    Parameters
    ----------
    num_stages : int
        Number of stages.
    inputs, labels : list of tuple of NDArray
        The first stage's inputs and the loss's labels, one tuple per micro-batch.
    training : bool
        Whether activations are kept for backward units.
    timeline : Timeline or None
        Records when each unit ran.
    """

    def __init__(self, num_stages: int, inputs: List[Tuple], labels: List[Tuple], training: bool,
                 timeline: Optional[Timeline]) -> None:
        self._forward: List[Any] = [SimpleQueue() for _ in range(num_stages)]  # [i] feeds stage i
        self._backward: List[Any] = [SimpleQueue() for _ in range(num_stages)]
        self._labels, self._training, self._timeline = labels, training, timeline
        for arrays in inputs:
            self._forward[0].put(arrays)

    def run(self, stage: Stage, units: Sequence[Unit]) -> List[Tuple]:
        """Issue one stage's units in order; returns the outputs of its forward units."""
        try:
            if self._training:
                stage.begin_step()
            outputs = [self._unit(stage, unit) for unit in units]
        except BaseException:
            self.stop()
            raise
        return [out for unit, out in zip(units, outputs) if unit.kind == "F"]

    def stop(self) -> None:
        """Wake every stage that waits for another one; each raises `Stopped`."""
        for queue in self._forward + self._backward:
            queue.put(None)

    def _unit(self, stage: Stage, unit: Unit) -> Tuple:
        last = stage.index == len(self._forward) - 1
        arrays = None if unit.kind == "B" and last else self._take(unit)
        begun = self._timeline.begin(arrays or ()) if self._timeline else 0.0
        if unit.kind == "F":
            out = stage.forward(unit.microbatch, arrays or (), self._labels[unit.microbatch] if last else (),
                                self._training)
        else:
            out = stage.backward(unit.microbatch, arrays)
        if self._timeline:
            self._timeline.end(unit, begun, out, stage)
        if unit.kind == "F" and not last:
            self._forward[stage.index + 1].put(out)
        elif unit.kind == "B" and stage.index:
            self._backward[stage.index - 1].put(out)
        return out

    def _take(self, unit: Unit) -> Tuple:
        queues = self._forward if unit.kind == "F" else self._backward
        arrays = queues[unit.stage].get()
        if arrays is None:
            raise Stopped(f"stage {unit.stage} stopped before {unit}, because another stage failed")
        return arrays
