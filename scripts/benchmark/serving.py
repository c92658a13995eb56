"""A worker's side: answer questions line by line, measure when asked, and do not outlive the program that started it.

Standard library only: PyTorch's worker is run by its path, under a Python that may have neither mxmp nor MXNet.
"""
from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, TextIO

_PR_SET_PDEATHSIG = 1  # prctl.h: the signal that comes when the parent ends
_SCARCE = 0.25  # share of the machine's memory; with less, workers that wait keep none that they do not need
_libc = ctypes.CDLL(None)


def serve(build: Callable[[Dict[str, Any]], Dict[str, Callable[[], Any]]]) -> None:
    """Build what the first argument, in JSON, describes; then answer each line of standard input by one in JSON.

    Parameters
    ----------
    build : callable
        Takes the description and returns what to call for each question.

    Raises
    ------
    SystemExit
        If anything fails, with the error's message in one line: the last one of standard error.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not an answer
    try:
        answers = build(json.loads(sys.argv[1]))
        _reply(replies, {})  # ready
        for line in sys.stdin:
            _reply(replies, answers[line.strip()]())
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _reply(replies: TextIO, answer: Dict[str, Any]) -> None:
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


def measure(step: Callable[[], Callable[[], Any]], wait: Callable[[], Any], squares: Callable[[], float],
            warmup_steps: int) -> Dict[str, Any]:
    """Time one step after some that are not timed, then give free memory back to the system if that is short of it.

    Giving it back lets a dozen idle workers share a machine. The untimed steps take the page faults of getting it
    anew; where a step needs gigabytes, the heap finds its final shape only after five to seven.

    Parameters
    ----------
    step : callable
        Starts the work; returns the method that reads the loss.
    wait : callable
        Returns when all the work is done.
    squares : callable
        Returns the sum of the squares of all gradients: with the loss it shows that all variants do the same work.
    warmup_steps : int
        Steps that are not timed.
    """
    for _ in range(warmup_steps):
        step()
        wait()
    begin = time.perf_counter()
    read_loss = step()
    wait()
    seconds = time.perf_counter() - begin
    answer = {"seconds": seconds, "peak_bytes": memory("VmHWM"), "loss": float(read_loss()), "grad_squares": squares()}
    del read_loss
    if _available_share() < _SCARCE:
        trim()
    return answer


def trim() -> None:
    """Give what malloc holds, but nobody uses, back to the system."""
    _libc.malloc_trim(0)


def memory(field: str) -> int:
    """Bytes of resident memory: now (``"VmRSS"``), or the most there ever were (``"VmHWM"``)."""
    return _kibibytes("/proc/self/status", field) * 1024


def _available_share() -> float:
    """Share of the machine's memory that programs can still get, 0 to 1."""
    return _kibibytes("/proc/meminfo", "MemAvailable") / _kibibytes("/proc/meminfo", "MemTotal")


def _kibibytes(path: str, field: str) -> int:
    for line in Path(path).read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise RuntimeError(f"{path} has no line {field}")
