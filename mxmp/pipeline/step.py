"""One step: what the stages hand to each other while they run a schedule."""
from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Dict, List, Optional, Sequence

import mxnet as mx
import numpy as np

from ..schedule import Schedule, Unit
from .cut import Arrays, Pieces
from .feed import Feed
from .probes import Probe
from .recurrent import States
from .stage import Stage
from .timeline import Timeline


class Stopped(RuntimeError):
    """Raised in a stage that stops because another one failed."""


class Step:
    """What the stages' threads share while they run one schedule.

    They exchange handles of arrays that may still be being computed; MXNet's engine starts a stage's operators when
    their inputs are there.

    Parameters
    ----------
    schedule : list of list of Unit
        Each stage's units.
    order : list of Unit
        All of them, each after what it needs.
    feed : Feed
        The batch.
    states : list or None
        Of each stage, its layers' states of every micro-batch; None if none are carried.
    seed : int or None
        Fixes the random numbers that every stage's forward units draw, in their order.
    timeline : Timeline or None
        Records when each unit runs.
    """

    def __init__(self, schedule: Schedule, order: Sequence[Unit], feed: Feed, states: Optional[List[List[States]]],
                 seed: Optional[int], timeline: Optional[Timeline]) -> None:
        self.schedule, self._order, self._feed, self._states = schedule, order, feed, states
        self._seed, self._timeline = seed, timeline
        self._inputs = dict(feed.inputs)
        self._last = len(schedule) - 1
        self._sent: Dict[Unit, Any] = {unit: Future() for units in schedule for unit in units}
        self._probes: Dict[Unit, List[Probe]] = {}

    def run(self, stage: Stage) -> None:
        """Issue all of a stage's units, from the calling thread."""
        try:
            self.begin(stage)
            for unit in self.schedule[stage.index]:
                self.issue(stage, unit)
        except BaseException:
            self.stop()
            raise

    def begin(self, stage: Stage) -> None:
        """Prepare a stage for its first unit; in its own thread, for an interrupted step may still be ending there."""
        stage.begin_step(len(self.schedule[stage.index]), self._feed.steps,
                         self._states[stage.index] if self._states else [], self._timeline)
        if self._feed.wanted is not None:
            stage.clear_gradients()
        if self._seed is not None:
            # not for each unit: on CPU contexts a seed is set on cpu(0), after whatever that context is working on
            mx.random.seed(stage_seed(self._seed, stage.index), stage.context)

    def issue(self, stage: Stage, unit: Unit) -> None:
        """Issue one unit; waits until what it takes has been issued, not until it is there."""
        if unit.kind == "F":
            inputs = self._take(Unit("F", unit.stage - 1, unit.microbatch, unit.chunk)) if unit.stage else \
                self._inputs.pop((unit.microbatch, unit.chunk))
            given = self._feed.labels
            labels = None if given is None else given.get((unit.microbatch, 0), ())
            out = stage.forward(unit, inputs, labels, self._feed.wanted is not None,
                                None if unit.stage else self._feed.wanted)
        else:
            grads = self._take(Unit("B", unit.stage + 1, unit.microbatch, unit.chunk)) \
                if unit.stage < self._last else ()
            out = stage.backward(unit, grads)
        self._probes[unit] = stage.order.probes.pop(unit, [])
        try:
            self._sent[unit].set_result(out)
        except InvalidStateError:  # by `stop`
            raise Stopped(f"another stage failed before {unit} of stage {unit.stage}") from None

    def _take(self, unit: Unit) -> Arrays:
        arrays = self._sent[unit].result()
        if arrays is None:
            raise Stopped(f"another stage failed before {unit} of stage {unit.stage}")
        del self._sent[unit]  # the receiver alone decides how long it lives
        return arrays

    def stop(self) -> None:
        """Wake every stage that waits for another one; each raises `Stopped`."""
        for future in list(self._sent.values()):
            with suppress(InvalidStateError):  # what was sent before is of no use to anybody, and of no harm
                future.set_result(None)

    def results(self, kind: str) -> Pieces:
        """By micro-batch and chunk: the last stage's outputs ("F") or the first stage's input gradients ("B")."""
        stage = self._last if kind == "F" else 0
        return {(unit.microbatch, unit.chunk): self._sent[unit].result() for unit in self.schedule[stage]
                if unit.kind == kind}

    def probes(self) -> List[Probe]:
        """Probes of all that was issued, causes before effects."""
        return [probe for unit in self._order for probe in self._probes.get(unit, ())]


def stage_seed(seed: int, stage: int) -> int:
    """A seed for one stage's work in one step."""
    return int(np.random.SeedSequence((seed % 2 ** 64, stage)).generate_state(1)[0] % 2 ** 31)
