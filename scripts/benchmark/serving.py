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
_STEPS = 3  # steps after which a step's memory is as large as it gets
_PROCESS, _MACHINE = "/proc/self/status", "/proc/meminfo"
_libc = ctypes.CDLL(None)


def serve(build: Callable[[Dict[str, Any]], Dict[str, Callable[[], Any]]]) -> None:
    """Let ``build`` say what to call for each question about the job that the first argument describes in JSON, then
    answer each line of standard input by one in JSON.

    If anything fails, the last line of standard error is the error's message.
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


def measure_step(step: Callable[[], Callable[[], Any]], wait: Callable[[], Any], squares: Callable[[], float],
                 warmup_steps: int, steps: int = 1) -> Dict[str, Any]:
    """Time one step, which starts the work and returns the method that reads the loss, after some that are not timed;
    or some ``steps`` that follow each other, of which it is one's share.

    ``squares`` is the sum of the squares of all gradients: with the loss it shows that all variants do the same work.
    The untimed steps take the page faults of getting memory anew that a worker gave back before it waited; where a
    step needs gigabytes, the heap finds its final shape only after five to seven.
    """
    for _ in range(warmup_steps):
        step()
        wait()
    begin = time.perf_counter()
    read_loss = step()
    wait()
    seconds = (time.perf_counter() - begin) / steps
    answer = {"seconds": seconds, "peak_bytes": _bytes(_PROCESS, "VmHWM"), "loss": float(read_loss()),
              "grad_squares": squares()}
    del read_loss
    if _bytes(_MACHINE, "MemAvailable") < _SCARCE * _bytes(_MACHINE, "MemTotal"):
        _libc.malloc_trim(0)  # gives what nobody uses back to the system: a dozen idle workers share it
    return answer


def measure_memory(prepare: Callable[[], Callable[[], Any]], wait: Callable[[], Any]) -> Dict[str, int]:
    """Resident memory before the work, and the most that preparing a step and doing it some times takes, in bytes."""
    wait()
    _libc.malloc_trim(0)
    before = _bytes(_PROCESS, "VmRSS")
    step = prepare()
    for _ in range(_STEPS):
        step()
        wait()
    return {"before": before, "peak": _bytes(_PROCESS, "VmHWM")}


def _bytes(path: str, field: str) -> int:
    """What the system's file ``path`` says of memory; of a process ``VmRSS`` is what it has, ``VmHWM`` its most."""
    for line in Path(path).read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"{path} has no line {field}")
