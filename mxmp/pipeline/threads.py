"""The stages' issuing threads: one call at a time, whole ones even when Ctrl-C comes, and anew after a fork."""
from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import local
from typing import Any, Callable, Iterator, NamedTuple, Optional, Sequence

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
    def used(self, context: Optional[mx.Context] = None) -> Iterator[None]:
        """Work under these settings; arrays made without a context are on ``context``, if that is given."""
        mode = autograd.train_mode() if self.train_mode else autograd.predict_mode()
        with ExitStack() as scopes:
            # a Context object remembers one thread's context before it: each needs an object of its own
            for scope in (np_shape(self.np_shape), np_array(self.np_array), mode, mx.Context(context or self.context)):
                scopes.enter_context(scope)
            yield


class StageThreads:
    """A thread for each stage; the first stage's does all else that a call of the pipeline does.

    So calls from several threads wait for each other. And Ctrl-C, which Python raises in the main thread wherever that
    is, cannot leave a call half done: the main thread only waits.
    """

    def __init__(self, num_stages: int) -> None:
        self._num_stages, self.closed, self._here = num_stages, False, local()
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._threads = [ThreadPoolExecutor(1, f"mxmp-stage-{i}", setattr, (self._here, "is_own", True))
                         for i in range(self._num_stages)]
        for thread in self._threads:
            thread.submit(int)  # begins it: Ctrl-C while a call did would leave a second one behind

    @property
    def others(self) -> Sequence[Executor]:
        """The threads of all stages but the first."""
        return self._threads[1:]

    def call(self, function: Callable, *args: Any, interrupted: Callable[[], None] = lambda: None) -> Any:
        """What ``function`` returns for ``args`` in the first stage's thread, under the caller's settings.

        Errors go on from here, a KeyboardInterrupt once the function, to which ``interrupted`` may tell it, has ended;
        a RuntimeError says if the threads have been closed, or if one of them calls.
        """
        if hasattr(self._here, "is_own"):
            raise RuntimeError("a layer or the loss of this pipeline calls the pipeline itself, which waits for it")
        if self.closed:
            raise RuntimeError("this pipeline was closed, by close() or at the end of its `with` block; make a new "
                               "Pipeline of the same chain")
        if os.getpid() != self._process:  # a fork copies no threads
            self._start()
        try:
            return self._threads[0].submit(self._under, Settings.current(), function, args).result()
        except KeyboardInterrupt:
            interrupted()
            self._threads[0].submit(int).result()  # comes after the call, if that was submitted
            raise

    @staticmethod
    def _under(settings: Settings, function: Callable, args: Sequence[Any]) -> Any:
        with settings.used():
            return function(*args)

    def close(self) -> None:
        """End the threads, but not those of a process of which this one is a fork."""
        self.closed = True
        if os.getpid() == self._process:
            for thread in self._threads:
                thread.shutdown()
