"""The starting program's side of a worker: one process, or several that work on one step together."""
from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Optional, Sequence

_PATIENCE = 30  # seconds that a worker may take to end by itself


class Worker:
    """Processes that work on a question, and are idle between two.

    The last argument of the program, ``argv``, is the ``job`` in JSON, which `serving.serve` reads; each process also
    finds its ``rank`` there, the number of ``processes``, and a ``folder`` that all of them can write to. They are in
    sessions of their own, so that Ctrl-C reaches the starting program alone, which then ends them. A process that ends
    before it has answered is a RuntimeError with the worker's ``name`` and its last line of standard error.
    """

    def __init__(self, name: str, argv: Sequence[str], job: Dict[str, Any], processes: int = 1,
                 env: Optional[Dict[str, str]] = None) -> None:
        self.name = name
        self._folder = TemporaryDirectory(prefix="mxmp-benchmark-")
        self._processes: List[Any] = []  # Popen, whose hints do not know that all of its pipes are there
        try:
            for rank in range(processes):
                ranked = {**job, "rank": rank, "processes": processes, "folder": self._folder.name}
                with open(self._errors(rank), "w", encoding="utf-8") as errors:
                    self._processes.append(subprocess.Popen(
                        [*argv, json.dumps(ranked)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                        text=True, env={**os.environ, "PYTHONPATH": _path(), **(env or {})}, start_new_session=True))
            self._answers()
        except BaseException:
            self.kill()
            raise

    def ask(self, question: str) -> List[Dict[str, Any]]:
        """Put a question to all processes and wait for all their answers."""
        for process in self._processes:
            with suppress(BrokenPipeError):  # it has ended; `_answers` finds out why
                process.stdin.write(question + "\n")
                process.stdin.flush()
        return self._answers()

    def kill(self) -> None:
        """End the processes at once."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            process.stdout.close()
        self._folder.cleanup()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: Any, *exc: Any) -> None:
        if kind is None:
            for process in self._processes:
                with suppress(BrokenPipeError):
                    process.stdin.close()  # lets it end
            with suppress(subprocess.TimeoutExpired):
                for process in self._processes:
                    process.wait(_PATIENCE)
        self.kill()

    def _answers(self) -> List[Dict[str, Any]]:
        """One answer of each process; whoever ends instead is reported before those that ended because of it."""
        answers: Dict[int, Dict[str, Any]] = {}
        waiting: Dict[Any, int] = {process.stdout: rank for rank, process in enumerate(self._processes)}
        while waiting:
            for stream in wait(list(waiting)):
                rank = waiting.pop(stream)
                line = self._processes[rank].stdout.readline()
                if not line:
                    raise RuntimeError(self._failure(rank))
                answers[rank] = json.loads(line)
        return [answers[rank] for rank in sorted(answers)]

    def _failure(self, rank: int) -> str:
        status = self._processes[rank].wait()
        lines = Path(self._errors(rank)).read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if status == 1 and last:  # Python's, after an error
            return f"worker {self.name}: {last}"
        return f"worker {self.name} ended with exit status {status}" + (f"; its last words: {last}" if last else "")

    def _errors(self, rank: int) -> str:
        return os.path.join(self._folder.name, f"stderr-{rank}")


def _path() -> str:
    """Where Python looks for modules: first in the folder that has this package, which nobody installs."""
    return os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
