"""What a run looks after besides its loss: skipped updates, numbers that are not to be saved, fingerprints, stalls."""
from __future__ import annotations

import faulthandler
import hashlib
import logging
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

import mxnet as mx

from ..pipeline import Pipeline, Trainer
from .options import RunOptions

_ABSURD = 1e6  # nats per token; who guesses among all tokens of any vocabulary has some 15
_log = logging.getLogger(__name__)


class Health:
    """Watches over the numbers of a run; but for `fingerprint` it waits only where the run has waited already."""

    def __init__(self, pipe: Pipeline, trainer: Trainer, options: RunOptions) -> None:
        self._pipe, self._trainer, self._options = pipe, trainer, options
        self._skipped = 0

    def look(self, step: int, loss: float) -> None:
        """Report updates that were skipped up to a ``step``, and a ``loss`` that no model has.

        After ``--max_bad_steps`` in a row it is a RuntimeError, which names the layer where that began.
        """
        skipped, in_a_row = map(int, self._trainer.skipped.asnumpy())
        if skipped > self._skipped:
            _log.warning("%d updates until step %d were skipped, as loss or gradients were not finite, %d of them in a "
                         "row up to now", skipped - self._skipped, step, in_a_row)
        self._skipped = skipped
        if in_a_row >= self._options.max_bad_steps:
            raise RuntimeError(f"the last {in_a_row} updates up to step {step} were skipped (--max_bad_steps "
                               f"{self._options.max_bad_steps}): {self._cause()}; {self._remedy}")
        if loss > _ABSURD:
            _log.warning("the loss of %.3g per token at step %d is absurd; %s if it stays so", loss,
                         step, self._remedy)

    def check_values(self, step: int) -> None:
        """Refuse to save a model that is not finite, or with states of the optimizer that are not, at a ``step``."""
        names = self._trainer.nonfinite_values()
        if names:
            raise RuntimeError(f"{names[0]} and {len(names) - 1} others are not finite at step {step}, which is not "
                               f"saved; {self._remedy}")

    def fingerprint(self, step: int, loss: mx.nd.NDArray, norm: mx.nd.NDArray) -> None:
        """Log the loss and the norm of a ``step``, and a hash of both and of all parameters after it; waits for them.

        Runs with equal lines are equal. Another plan may round differently, and so have others.
        """
        arrays = [loss, norm, *(parameter.list_data()[0] for parameter in self._pipe.parameter_names)]
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(array.asnumpy().tobytes())
        _log.info("fingerprint of step %d: loss %r norm %r sha256 %s", step, float(loss.asscalar()),
                  float(norm.asscalar()), digest.hexdigest())

    def _cause(self) -> str:
        names = self._trainer.nonfinite_gradients()
        if not names:
            return "the loss or the gradients' norm is not finite, though each gradient is"
        return (f"{len(names)} parameters' gradients are not finite, the first that the backward pass reaches that of "
                f"layer {names[0].split('.')[0]!r} ({names[0]})")

    @property
    def _remedy(self) -> str:
        return f"lower --learning_rate (now {self._options.learning_rate}) and --resume"


@contextmanager
def watched(pipe: Pipeline, seconds: float, folder: Path) -> Iterator[None]:
    """Let a run in ``folder`` end with exit status 1 once a step of its pipeline has not come further for some
    ``seconds`` (0: never); ``train.log`` then has the place and what all of Python's threads are in."""
    def stalled(place: str) -> None:
        try:
            message = (f"no step has come further for {seconds:g} s (--stall_timeout), the run is stuck {place}; go on "
                       "with --resume, where a step may take that long with a longer --stall_timeout")
            _log.error("%s", message)
            with open(folder / "train.log", "a", encoding="utf-8") as log:
                faulthandler.dump_traceback(log, all_threads=True)
            print(f"{Path(sys.argv[0]).name}: error: {message}", file=sys.stderr, flush=True)
        finally:
            os._exit(1)  # the main thread cannot be woken where it waits for MXNet

    with ExitStack() as stack:
        if seconds:
            stack.enter_context(pipe.watchdog(seconds, stalled))
        yield
