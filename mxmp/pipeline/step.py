"""One step: what the stages hand to each other while they run a schedule."""
from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import lru_cache
from typing import Any, Dict, List, Optional, Tuple

import mxnet as mx
import numpy as np

from ..schedule import SCHEDULES, Schedule, Unit, by_stage, forward_only, in_order
from .cut import Feed
from .errors import Probe
from .stage import Stage
from .stage_step import StageStep
from .states import States
from .timeline import StepNotes


class Stopped(RuntimeError):
    """Raised in a stage that stops because another one failed."""


class Step:
    """What the stages share while they run one schedule; a `Turn` issues it.

    They exchange handles of arrays that may still be being computed; MXNet's engine starts a stage's operators when
    their inputs are there. The stages lie on ``contexts``, and in a row of the schedule take turns. ``states`` has, of
    each stage, its layers' states of every micro-batch, and is None if none are carried; ``seed`` fixes the random
    numbers that every stage's forward units draw, in their order.
    """

    def __init__(self, schedule: str, contexts: Tuple[mx.Context, ...], feed: Feed,
                 states: Optional[List[List[States]]], seed: Optional[Tuple[int, int]],
                 notes: Optional[StepNotes]) -> None:
        self.schedule, self.order = _planned(schedule, contexts, feed.wanted is not None, len(feed.rows),
                                             len(feed.steps))
        self.by_stage = by_stage(self.schedule)
        self._turns = _turns(self.schedule)
        self.feed, self._states, self._seed, self._notes = feed, states, seed, notes
        self._inputs = dict(feed.inputs)
        self._last = len(contexts) - 1
        self._sent: Dict[Unit, Any] = {unit: Future() for unit in self.order}
        self._issued: Dict[Unit, Future] = {before: Future() for before in self._turns.values()}
        self._stages: Dict[int, StageStep] = {}

    def begin(self, stage: Stage) -> None:
        """Prepare a stage for its first unit, in the thread that issues it."""
        if stage.index in self._stages:
            return
        with mx.Context(stage.context):
            self._stages[stage.index] = StageStep(stage, self.by_stage[stage.index], self.feed,
                                                  self._states[stage.index] if self._states else (), self._notes)
            if self._seed is not None:
                # not for each unit: on CPU contexts a seed is set on cpu(0), after whatever that context is working on
                mx.random.seed(stage_seed(*self._seed, stage.index), stage.context)

    def issue(self, unit: Unit) -> None:
        """Issue one unit; waits until what it takes, and what comes before it in its row, has been issued, not until
        it is there."""
        if unit in self._turns and not self._issued[self._turns[unit]].result():
            raise self._stopped(unit)
        stage = self._stages[unit.stage]
        with mx.Context(stage.context):  # an object of its own: it remembers one thread's context before it
            if unit.kind == "F":
                out: Any = stage.forward(unit, self._take(Unit("F", unit.stage - 1, unit.microbatch, unit.chunk))
                                         if unit.stage else self._inputs.pop((unit.microbatch, unit.chunk)))
            else:
                out = stage.backward(unit, self._take(Unit("B", unit.stage + 1, unit.microbatch, unit.chunk))
                                     if unit.stage < self._last else ())
        try:
            self._sent[unit].set_result(out)
            if unit in self._issued:
                self._issued[unit].set_result(True)
        except InvalidStateError:  # by `stop`
            raise self._stopped(unit) from None

    def chunks(self, unit: Unit) -> List[Unit]:
        """The units of a micro-batch's chunks in order, given the first chunk's."""
        units = [unit._replace(chunk=t) for t in range(len(self.feed.steps))]
        return units if unit.kind == "F" else units[::-1]

    def _take(self, unit: Unit) -> Any:
        sent = self._sent[unit].result()
        if sent is None:
            raise self._stopped(unit)
        del self._sent[unit]  # the receiver alone decides how long it lives
        return sent

    @staticmethod
    def _stopped(unit: Unit) -> Stopped:
        return Stopped(f"another stage failed before {unit} of stage {unit.stage}")

    def stop(self) -> None:
        """Wake every stage that waits for another one; each raises `Stopped`."""
        for future in list(self._sent.values()) + list(self._issued.values()):
            with suppress(InvalidStateError):  # what was sent before is of no use to anybody, and of no harm
                future.set_result(None)

    def probes_of(self, unit: Unit) -> List[Probe]:
        """Probes of what was issued of a unit."""
        return self._stages[unit.stage].probes.by_unit.get(unit, [])

    def doing(self) -> str:
        """What the stages' threads are in, in words, but for those that wait for others."""
        return "; ".join(filter(None, [stage.probes.doing for stage in list(self._stages.values())]))

    def issued(self) -> int:
        """How much has been issued, as a number that grows."""
        return sum(stage.probes.count for stage in list(self._stages.values()))

    def results(self, kind: str) -> Dict[Tuple[int, int], Any]:
        """By micro-batch and chunk: the last stage's outputs ("F") or the first stage's input gradients ("B")."""
        stage = self._last if kind == "F" else 0
        return {(unit.microbatch, unit.chunk): self._sent[unit].result() for unit in self.by_stage[stage]
                if unit.kind == kind}

    def states(self) -> List[Dict[int, States]]:
        """Of each stage, its layers' states by micro-batch, after the last chunk."""
        return [self._stages[i].states for i in range(len(self._stages))]


def stage_seed(seed: int, step: int, stage: int) -> int:
    """A seed for one stage's work in one step: neighbouring numbers must not give shifted copies of the same masks."""
    return int(np.random.SeedSequence((seed % 2 ** 64, step, stage)).generate_state(1)[0] % 2 ** 31)


@lru_cache(maxsize=64)
def _planned(name: str, contexts: Tuple[mx.Context, ...], training: bool, num_microbatches: int,
             num_chunks: int) -> Tuple[Schedule, List[Unit]]:
    """A schedule, and all of its units in one order in which each comes after what it needs."""
    schedule = SCHEDULES[name](contexts, num_microbatches, num_chunks) if training else \
        forward_only(contexts, num_microbatches, num_chunks, name)
    return schedule, in_order(schedule)


def _turns(schedule: Schedule) -> Dict[Unit, Unit]:
    """By unit the one before it in its row, where that is another stage's, whose thread issues it."""
    return {unit: before for units in schedule for before, unit in zip(units, units[1:]) if before.stage != unit.stage}
