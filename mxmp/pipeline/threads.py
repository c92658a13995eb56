"""The stages' issuing threads: one call at a time, whole ones even when Ctrl-C comes, and anew after a fork."""
from __future__ import annotations

import atexit
import os
import threading
from collections import defaultdict
from concurrent.futures import Executor, Future, wait
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from threading import local
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple
from weakref import finalize

import mxnet as mx
from mxnet import autograd
from mxnet.util import is_np_array, is_np_shape, np_array, np_shape

PATIENCE = 30.0
"""Seconds that Ctrl-C waits for a call's end: units are issued in milliseconds, but for layers that wait themselves."""


class Settings(NamedTuple):
    """What MXNet keeps for each thread by itself, and a Gluon user expects a block's call to be under; and the
    pipelines for whose calls, one inside the other, the thread works."""

    np_shape: bool
    np_array: bool
    train_mode: bool
    context: mx.Context
    calls: Tuple[int, ...]

    @classmethod
    def current(cls) -> Settings:
        """Those of the calling thread."""
        return cls(is_np_shape(), is_np_array(), autograd.is_training(), mx.current_context(),
                   getattr(_here, "calls", ()))

    @contextmanager
    def used(self) -> Iterator[None]:
        """Work under these settings."""
        mode = autograd.train_mode() if self.train_mode else autograd.predict_mode()
        with ExitStack() as scopes:
            for scope in (np_shape(self.np_shape), np_array(self.np_array), mode, mx.Context(self.context)):
                scopes.enter_context(scope)
            scopes.callback(setattr, _here, "calls", getattr(_here, "calls", ()))
            _here.calls = self.calls
            yield


class Thread(Executor):
    """A thread that carries out what it is given, one thing after the other.

    Unlike those of the standard library's pools it need not be waited for when the interpreter ends, which one that is
    stuck would hold up for ever; `_end_threads` waits for all others.
    """

    def __init__(self, stage: int) -> None:
        self.stage = stage
        self._calls: SimpleQueue = SimpleQueue()
        self._thread = threading.Thread(target=_carry_out, args=(self._calls,), name=f"mxmp-stage-{stage}", daemon=True)
        self._thread.start()

    @classmethod
    def taken(cls, stage: int) -> Thread:
        """One for a stage, of the closed pipelines' if there is any: MXNet keeps some 5 MB for every thread that ever
        used it."""
        try:
            return _idle[os.getpid(), stage].pop()
        except IndexError:
            # it begins here: Ctrl-C while a call began it would leave a second one behind
            thread = cls(stage)
            _waited_for.add(thread)
            return thread

    def submit(self, function: Callable, *args: Any, **kwargs: Any) -> Future:  # type: ignore[override]
        """A future of what ``function`` will return."""
        future: Future = Future()
        self._calls.put((future, function, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, **kwargs: Any) -> None:
        """End the thread, once it has carried out what it was given."""
        self._calls.put(None)
        if wait:
            self._thread.join()


def _carry_out(calls: SimpleQueue) -> None:
    """What a thread does; it keeps nothing of a call that has ended."""
    while _carried_out(calls.get()):
        pass


def _carried_out(call: Optional[Tuple[Future, Callable, Tuple, Dict]]) -> bool:
    if call is None:
        return False
    future, function, args, kwargs = call
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    finally:
        del call, future, function, args  # an error's trace has this frame, and would keep them
    return True


@atexit.register
def _end_threads() -> None:
    """Let steps that are under way end before the interpreter does."""
    for thread in sorted(_waited_for, key=lambda thread: thread.stage):  # the first stages' have work for the others
        thread.shutdown()


_here = local()
_waited_for: Set[Thread] = set()  # all but those that are stuck
_idle: Dict[Tuple[int, int], List[Thread]] = defaultdict(list)  # by process and stage


def _leave(process: int, threads: Sequence[Thread]) -> None:
    for stage, thread in enumerate(threads):
        _idle[process, stage].append(thread)


class StageThreads:
    """A thread for each stage; the first stage's does all else that a call of the pipeline does.

    So calls from several threads wait for each other. And Ctrl-C, which Python raises in the main thread wherever that
    is, cannot leave a call half done: the main thread only waits.
    """

    def __init__(self, num_stages: int) -> None:
        self._num_stages, self.closed, self._busy = num_stages, False, False
        self._stuck = ""  # where, in words
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._threads = [Thread.taken(stage) for stage in range(self._num_stages)]
        self._end = finalize(self, _leave, self._process, self._threads)
        self._end.atexit = False

    @property
    def others(self) -> List[Executor]:
        """The threads of all stages but the first."""
        return list(self._threads[1:])

    def call(self, function: Callable, *args: Any, interrupted: Callable[[], None] = lambda: None,
             doing: Callable[[], str] = lambda: "") -> Any:
        """What ``function`` returns for ``args`` in the first stage's thread, under the caller's settings.

        Errors go on from here, a KeyboardInterrupt once the function, to which ``interrupted`` may tell it, has ended,
        or after `PATIENCE`; then it says what that was ``doing``, and no call can follow. A RuntimeError says if the
        threads are closed or stuck, or if one of them calls.
        """
        if self._stuck:
            raise RuntimeError(f"this pipeline is stuck since a call of it was interrupted ({self._stuck}); begin the "
                               "program anew")
        if self.closed:
            raise RuntimeError("this pipeline was closed, by close() or at the end of its `with` block; make a new "
                               "Pipeline of the same chain")
        if not threading.main_thread().is_alive():
            raise RuntimeError("a pipeline cannot be called after the interpreter's shutdown has begun; let other "
                               "threads end before the main one does")
        settings = self._settings("calls")
        if os.getpid() != self._process:  # a fork copies no threads
            if self._busy:
                raise RuntimeError("this process was forked while another thread was in a call of this pipeline, which "
                                   "is half done here; fork between two calls")
            self._start()
        first = self._threads[0]
        try:
            future = first.submit(self._under, settings, function, args)
            while not wait([future], 0.2).done:  # a signal that comes just before a wait begins does not end it
                pass
            return future.result()
        except KeyboardInterrupt:
            interrupted()
            if not wait([first.submit(int)], PATIENCE).done:  # comes after the call, if that was submitted
                self._give_up(doing() or "before its first layer")
                raise KeyboardInterrupt(f"interrupted, but {PATIENCE:g} s later a stage has not come back from its "
                                        f"layer, and is left ({self._stuck}); its pipeline cannot be called again"
                                        ) from None
            raise

    def _give_up(self, place: str) -> None:
        """Wait for these threads no more, nor leave them to other pipelines."""
        self._stuck = place
        self._end.detach()
        _waited_for.difference_update(self._threads)

    def _settings(self, does: str) -> Settings:
        """The caller's settings, with a call of these threads; refused where the caller works for one already."""
        settings = Settings.current()
        if id(self) in settings.calls:
            raise RuntimeError(f"a layer or the loss of this pipeline {does} the pipeline itself, which waits for it")
        return settings._replace(calls=(*settings.calls, id(self)))

    def _under(self, settings: Settings, function: Callable, args: Sequence[Any]) -> Any:
        self._busy = True
        try:
            with settings.used():
                return function(*args)
        finally:
            self._busy = False

    def close(self) -> None:
        """Wait for a call that is under way, and leave the threads to other pipelines; a RuntimeError says if one of
        them closes."""
        self._settings("closes")
        if not (self.closed or self._stuck) and os.getpid() == self._process:
            for thread in self._threads:
                thread.submit(int).result()
            self._end()
        self.closed = True
