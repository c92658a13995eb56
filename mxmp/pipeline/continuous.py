"""A pipeline that never drains: what a step leaves to do is issued beside the next step's first forward units.

That takes weights of the step before, so every parameter has two arrays, which take turns, and updates are made a step
late: W(t+1) = W(t) - update(gradient at W(t-1)), PipeDream-2BW's rule (Narayanan et al. 2021, "Memory-Efficient
Pipeline-Parallel DNN Training", section 3.1).
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import Parameter

from .gradients import AddingUp
from .step import Step
from .turn import Turn

Arrays = Tuple[List[mx.nd.NDArray], List[mx.nd.NDArray]]  # a parameter's values and gradients, by context
Issue = Callable[[Turn], int]


class Unfinished(NamedTuple):
    """A step whose last backward units wait for the next one, and what its gradients' arrays are released with."""

    step: Step
    release: Callable[[], None]


class OneByOne:
    """Steps that end with their calls, and updates that are made at once."""

    def __init__(self) -> None:
        self._adding = AddingUp()

    def step(self, step: Step, parameters: Iterable[Parameter], issue: Issue) -> int:
        """Issue all of a step; returns what ``issue`` does."""
        try:
            self._adding.begin(list(parameters))
            count = issue(Turn.whole(step))
        finally:
            self._adding.end()
        step.feed.hand_back(step.results("B"))
        return count

    def update(self, make: Callable[[], Any], parameters: Iterable[Parameter]) -> Any:
        """What ``make`` returns."""
        return make()

    def finish(self, issue: Issue) -> None:
        """There is nothing left."""

    def make(self, parameters: Iterable[Parameter]) -> None:
        """There is nothing left."""

    def drop(self) -> None:
        """There is nothing left."""


class Continuous(OneByOne):
    """What of a stream of steps is under way between two calls.

    An update is made when the next one is asked for: by then all backward units that it takes have been issued. A
    parameter's arrays are always those that the next step works with; the other ones have the gradient of the step
    before.
    """

    def __init__(self) -> None:
        super().__init__()
        self._unfinished: Optional[Unfinished] = None
        self._asked = True  # whether the latest step's update was asked for
        self._update: Optional[Callable[[], Any]] = None  # asked for, and not made
        self._others: Dict[Parameter, Arrays] = {}
        self._now: Dict[Parameter, Arrays] = {}  # since an update was asked for

    def step(self, step: Step, parameters: Iterable[Parameter], issue: Issue) -> int:
        """Issue a step but for what waits for the next one, and what the one before has left; returns what ``issue``
        does.

        If no update was asked for since, the one before is ended first: its arrays are this one's, too.
        """
        parameters = list(parameters)
        self._check(parameters)
        if not self._asked:
            self.finish(issue)
        self._adding.begin(parameters)
        try:
            count = issue(Turn.streaming(self._unfinished.step if self._unfinished else None, step))
        except BaseException:
            self._adding.end()
            self.drop()
            raise
        self._end()
        self._unfinished, self._asked = Unfinished(step, self._adding.release()), False
        return count

    def finish(self, issue: Issue) -> None:
        """Issue what the latest step has left."""
        if self._unfinished:
            turn = Turn.streaming(self._unfinished.step, None)
            try:
                if turn.order:
                    issue(turn)
            except BaseException:
                self.drop()
                raise
            self._end()

    def _end(self) -> None:
        """Release a step of which all is issued."""
        if self._unfinished:
            step, release = self._unfinished
            self._unfinished = None
            release()
            step.feed.hand_back(step.results("B"))

    def update(self, make: Callable[[], Any], parameters: Iterable[Parameter]) -> Any:
        """Make the update that was asked for before, and keep this one, of the latest step; returns what that returns,
        or None if there is none."""
        if self._asked:
            raise UserWarning("there was no forward_backward since the last update; a continuous pipeline is updated "
                              "once for each")
        self._check(parameters)
        before, self._update, self._asked = self._update, make, True
        self._take_turns(parameters)
        return before() if before else None

    def make(self, parameters: Iterable[Parameter]) -> None:
        """Make the update that was asked for, once all is issued."""
        self._check(parameters)
        make, self._update = self._update, None
        if make:
            self._take_turns(parameters)
            make()

    def drop(self) -> None:
        """Forget what is under way, after an error."""
        if self._unfinished:
            self._unfinished.release()
        self._unfinished, self._update, self._asked = None, None, True

    def _check(self, parameters: Iterable[Parameter]) -> None:
        for parameter in parameters:
            if parameter.grad_req == "add":
                raise ValueError(f"{parameter.name} has grad_req='add', but the steps of a continuous pipeline take "
                                 "turns with two gradients, which cannot add up; use 'write', or another schedule")
            data, grads = self._now.get(parameter, (parameter._data, parameter._grad))
            if self._update and (parameter._data is not data or parameter._grad is not grads):
                self.drop()
                raise RuntimeError(f"{parameter.name} was frozen, thawed, moved or cast while a step's update was yet "
                                   "to be made, which is dropped; call flush() before")

    def _take_turns(self, parameters: Iterable[Parameter]) -> None:
        """Let the parameters' other arrays be theirs, with the present values."""
        for parameter in parameters:
            if parameter.grad_req != "null":
                now, other = (parameter._data, parameter._grad), self._others.get(parameter)
                if other and list(map(_kind, other[0])) == list(map(_kind, now[0])):
                    for array, value in zip(other[0], now[0]):
                        value.copyto(array)
                else:
                    other = [array.copy() for array in now[0]], [mx.nd.zeros_like(grad) for grad in now[1]]
                    autograd.mark_variables(*other, grad_reqs=parameter.grad_req)
                self._others[parameter] = now
                parameter._data, parameter._grad = other
            self._now[parameter] = parameter._data, parameter._grad


def _kind(array: mx.nd.NDArray) -> Tuple:
    return array.context, array.dtype, array.shape, type(array)
