"""Signals that ask a program to end: Ctrl-C, SIGTERM of a scheduler or container, SIGHUP of a terminal that goes."""
from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """What those signals raise; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """In its ``with`` block the first of those signals raises `Interrupted`, and the second ends the process at once.

    With ``held`` the first one waits for `check`, or for what is `released`. What the process ignores, as ``nohup``
    has it ignore SIGHUP, it goes on to ignore; and only the main thread is asked. Python ignores what is raised where
    an object is being freed, as arrays always are: the signal is sent again then.
    """

    def __init__(self, held: bool = False) -> None:
        self._held = held
        self.number: Optional[int] = None
        self._before: Dict[int, Any] = {}
        self._hook = sys.unraisablehook

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._ask)
        if self._before:
            self._hook, sys.unraisablehook = sys.unraisablehook, self._ask_again
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._before:
            sys.unraisablehook = self._hook
        for number, before in self._before.items():
            signal.signal(number, before)

    def _ask(self, number: int, frame: Any) -> None:
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        self.number = number
        if not self._held:
            self.check()

    def _ask_again(self, ignored: Any) -> None:
        if isinstance(ignored.exc_value, Interrupted):
            for each in self._before:
                signal.signal(each, self._ask)
            threading.Timer(0.01, os.kill, (os.getpid(), ignored.exc_value.number)).start()
        else:
            self._hook(ignored)

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let a signal that has come, or comes inside, raise at once."""
        self._held = False
        try:
            self.check()
            yield
        finally:
            self._held = True
