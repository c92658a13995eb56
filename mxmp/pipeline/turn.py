"""What the stages' threads issue in one call: all units of a step or, of a stream of steps, those whose turn it is."""
from __future__ import annotations

from concurrent.futures import Executor, Future
from functools import lru_cache
from typing import Iterable, List, Optional, Sequence, Tuple

from ..schedule import Schedule, Unit, continuous, in_order
from .errors import Probe
from .stage import Stage
from .step import Step, Stopped
from .threads import Settings

Row = List[Tuple[Step, Unit]]


class Turn:
    """Each stage's units of one call in order, and all of them in one order in which causes come before effects.

    They are issued under the settings of the thread that makes it. An error, or `stop`, stops all of its steps.
    """

    def __init__(self, rows: Sequence[Row], order: Row) -> None:
        self._rows, self.order = rows, order
        self._steps = list({id(step): step for row in rows for step, _ in row}.values())
        self._settings = Settings.current()

    @classmethod
    def whole(cls, step: Step) -> Turn:
        """All units of a step."""
        return cls([[(step, unit) for unit in units] for units in step.by_stage],
                   [(step, unit) for unit in step.order])

    @classmethod
    def streaming(cls, behind: Optional[Step], step: Optional[Step]) -> Turn:
        """A step's units but for those that wait for the next one, and those that the step ``behind`` has left; without
        a ``step`` these alone."""
        steps = [each for each in (behind, step) if each]
        owners = [(each, m) for each in steps for m in range(len(each.feed.rows))]  # by the stream's micro-batches
        schedule, order = _streaming(len(steps[0].by_stage), len(step.feed.rows) if step else 0,
                                     len(behind.feed.rows) if behind else 0)

        def owned(units: Iterable[Unit]) -> Row:
            return [(owner, piece) for unit in units for owner, m in [owners[unit.microbatch]]
                    for piece in owner.chunks(unit._replace(microbatch=m))]
        return cls([owned(units) for units in schedule], owned(order))

    def run(self, stages: Sequence[Stage], others: Sequence[Executor]) -> None:
        """Let the calling thread issue the first stage's units, and each of the other stages' threads that stage's;
        returns when all are issued.

        An error that stopped a stage goes on from here, the cause before those that stopped because of it.
        """
        futures: List[Future] = []
        errors: List[BaseException] = []
        try:
            for thread, stage in zip(others, stages[1:]):
                futures.append(thread.submit(self._issue, stage))
            self._issue(stages[0])
        except BaseException as error:
            self.stop()  # those that were begun, where the program ends before all were
            errors.append(error)
        errors += filter(None, (future.exception() for future in futures))
        for cause in sorted(errors, key=lambda e: isinstance(e, Stopped)):
            raise cause

    def _issue(self, stage: Stage) -> None:
        """Issue all of a stage's units, from the calling thread."""
        try:
            with self._settings.used():
                for step, unit in self._rows[stage.index]:
                    step.begin(stage)
                    step.issue(unit)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Wake every stage that waits for another one; each raises `Stopped`."""
        for step in self._steps:
            step.stop()

    def doing(self) -> str:
        """What the stages' threads are in, in words, but for those that wait for others."""
        return "; ".join(filter(None, [step.doing() for step in self._steps]))

    def issued(self) -> int:
        """How much has been issued, as a number that grows."""
        return sum(step.issued() for step in self._steps)

    def probes(self) -> List[Probe]:
        """Probes of all that was issued, causes before effects."""
        return [probe for step, unit in self.order for probe in step.probes_of(unit)]


@lru_cache(maxsize=64)
def _streaming(num_stages: int, num_microbatches: int, before: int) -> Tuple[Schedule, List[Unit]]:
    """A turn of `continuous`, and its units in one order."""
    schedule = continuous(num_stages, num_microbatches, before)
    left = {unit for units in schedule for unit in units}
    done = [unit for stage in range(num_stages) for m in range(before) for kind in "FB"
            for unit in [Unit(kind, stage, m)] if unit not in left]
    return schedule, in_order(schedule, done)
