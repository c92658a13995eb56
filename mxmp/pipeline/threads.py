"""The stages' issuing threads: one call at a time, whole ones even when Ctrl-C comes, and anew after a fork."""
from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple
from weakref import finalize

import mxnet as mx
from mxnet import autograd
from mxnet.util import is_np_array, is_np_shape, np_array, np_shape


class Settings(NamedTuple):
    """What MXNet keeps for each thread by itself, and a Gluon user expects a block's call to be under."""

    np_shape: bool
    np_array: bool
    train_mode: bool
    context: mx.Context

    @classmethod
    def current(cls) -> Settings:
        """Those of the calling thread."""
        return cls(is_np_shape(), is_np_array(), autograd.is_training(), mx.current_context())

    @contextmanager
    def used(self) -> Iterator[None]:
        """Work under these settings."""
        mode = autograd.train_mode() if self.train_mode else autograd.predict_mode()
        with ExitStack() as scopes:
            for scope in (np_shape(self.np_shape), np_array(self.np_array), mode, mx.Context(self.context)):
                scopes.enter_context(scope)
            yield


class Thread(NamedTuple):
    """A thread that carries out what it is given, one thing after the other."""

    executor: ThreadPoolExecutor
    ident: int

    @classmethod
    def taken(cls, stage: int) -> Thread:
        """One for a stage, of the closed pipelines' if there is any: MXNet keeps some 5 MB for every thread that ever
        used it."""
        try:
            return _idle[os.getpid(), stage].pop()
        except IndexError:
            executor = ThreadPoolExecutor(1, f"mxmp-stage-{stage}")
            # it begins here: Ctrl-C while a call began it would leave a second one behind
            return cls(executor, executor.submit(get_ident).result())


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
        self._num_stages, self.closed = num_stages, False
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._threads = [Thread.taken(stage) for stage in range(self._num_stages)]
        self._end = finalize(self, _leave, self._process, self._threads)
        self._end.atexit = False

    @property
    def others(self) -> List[Executor]:
        """The threads of all stages but the first."""
        return [thread.executor for thread in self._threads[1:]]

    def call(self, function: Callable, *args: Any, interrupted: Callable[[], None] = lambda: None) -> Any:
        """What ``function`` returns for ``args`` in the first stage's thread, under the caller's settings.

        Errors go on from here, a KeyboardInterrupt once the function, to which ``interrupted`` may tell it, has ended;
        a RuntimeError says if the threads have been closed, or if one of them calls.
        """
        if self.closed:
            raise RuntimeError("this pipeline was closed, by close() or at the end of its `with` block; make a new "
                               "Pipeline of the same chain")
        if os.getpid() != self._process:  # a fork copies no threads
            self._start()
        if get_ident() in [thread.ident for thread in self._threads]:
            raise RuntimeError("a layer or the loss of this pipeline calls the pipeline itself, which waits for it")
        first = self._threads[0].executor
        try:
            return first.submit(self._under, Settings.current(), function, args).result()
        except KeyboardInterrupt:
            interrupted()
            first.submit(int).result()  # comes after the call, if that was submitted
            raise

    @staticmethod
    def _under(settings: Settings, function: Callable, args: Sequence[Any]) -> Any:
        with settings.used():
            return function(*args)

    def close(self) -> None:
        """Wait for a call that is under way, and leave the threads to other pipelines."""
        if not self.closed and os.getpid() == self._process:
            for thread in self._threads:
                thread.executor.submit(int).result()
            self._end()
        self.closed = True
