"""The stages' issuing threads: one call at a time, whole ones even when Ctrl-C comes, and anew after a fork."""
from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import local
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple
from weakref import finalize

import mxnet as mx
from mxnet import autograd
from mxnet.util import is_np_array, is_np_shape, np_array, np_shape


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


def _taken(stage: int) -> ThreadPoolExecutor:
    """A thread for a stage, of the closed pipelines' if there is any: MXNet keeps some 5 MB for every thread that ever
    used it."""
    try:
        return _idle[os.getpid(), stage].pop()
    except IndexError:
        executor = ThreadPoolExecutor(1, f"mxmp-stage-{stage}")
        executor.submit(int).result()  # it begins here: Ctrl-C while a call began it would leave a second one behind
        return executor


_here = local()
_idle: Dict[Tuple[int, int], List[ThreadPoolExecutor]] = defaultdict(list)  # by process and stage


def _leave(process: int, threads: Sequence[ThreadPoolExecutor]) -> None:
    for stage, thread in enumerate(threads):
        _idle[process, stage].append(thread)


class StageThreads:
    """A thread for each stage; the first stage's does all else that a call of the pipeline does.

    So calls from several threads wait for each other. And Ctrl-C, which Python raises in the main thread wherever that
    is, cannot leave a call half done: the main thread only waits.
    """

    def __init__(self, num_stages: int) -> None:
        self._num_stages, self.closed, self._busy = num_stages, False, False
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._threads = [_taken(stage) for stage in range(self._num_stages)]
        self._end = finalize(self, _leave, self._process, self._threads)
        self._end.atexit = False

    @property
    def others(self) -> List[Executor]:
        """The threads of all stages but the first."""
        return list(self._threads[1:])

    def call(self, function: Callable, *args: Any, interrupted: Callable[[], None] = lambda: None) -> Any:
        """What ``function`` returns for ``args`` in the first stage's thread, under the caller's settings.

        Errors go on from here, a KeyboardInterrupt once the function, to which ``interrupted`` may tell it, has ended;
        a RuntimeError says if the threads have been closed, or if one of them calls.
        """
        if self.closed:
            raise RuntimeError("this pipeline was closed, by close() or at the end of its `with` block; make a new "
                               "Pipeline of the same chain")
        settings = self._settings("calls")
        if os.getpid() != self._process:  # a fork copies no threads
            if self._busy:
                raise RuntimeError("this process was forked while another thread was in a call of this pipeline, which "
                                   "is half done here; fork between two calls")
            self._start()
        first = self._threads[0]
        try:
            return first.submit(self._under, settings, function, args).result()
        except KeyboardInterrupt:
            interrupted()
            first.submit(int).result()  # comes after the call, if that was submitted
            raise

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
        if not self.closed and os.getpid() == self._process:
            for thread in self._threads:
                thread.submit(int).result()
            self._end()
        self.closed = True
