"""A run's folder: new or resumed, and for one process at a time."""
import fcntl
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from helpers import programs

from mxmp.tasks import checkpoint, folder
from mxmp.tasks.folder import lock, open_folder
from mxmp.tasks.options import RunOptions

HOLDS = """
import sys, time
from mxmp import runtime
runtime.configure(1)
from pathlib import Path
from mxmp.tasks.folder import lock
lock(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""
OPENS = """
import sys
from mxmp import runtime
runtime.configure(1)
from mxmp.command import run
from mxmp.tasks.folder import open_folder
from mxmp.tasks.options import RunOptions
def main():
    options = RunOptions(output_dir=sys.argv[1] if len(sys.argv) > 1 else None)
    print("ready", flush=True)
    input()
    print(open_folder(options, "run"), flush=True)
    input()
run(main)
"""


@pytest.fixture
def start(tmp_path):
    """A function that starts Python code in ``tmp_path``; what it started ends with the test."""
    started = []

    def begin(code, *arguments):
        started.append(subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=tmp_path, text=True,
                                        env={**os.environ, "PYTHONPATH": str(programs.ROOT)}, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        assert started[-1].stdout.readline() in ("locked\n", "ready\n"), started[-1].stderr.read()
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Unresumable:
    output_dir: str


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_names_its_owner_and_dies_with_it(tmp_path, start, signal_number):
    owner = start(HOLDS, tmp_path)
    for resume in (False, True):
        with pytest.raises(ValueError) as error:
            open_folder(RunOptions(output_dir=str(tmp_path), resume=resume), "run")
        assert str(error.value) == (
            f"{tmp_path} holds a training run that process {owner.pid} on {platform.node()} is at work on; wait "
            "until it ends, or choose another --output_dir")
    owner.send_signal(signal_number)
    owner.wait()
    open_folder(RunOptions(output_dir=str(tmp_path)), "run")
    assert (tmp_path / folder.LOCK).read_text() == f"process {os.getpid()} on {platform.node()}\n"


def test_of_runs_that_begin_at_once_in_one_folder_one_goes_on(tmp_path, start):
    runs = [start(OPENS, tmp_path / "run") for _ in range(3)]
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    deadline = time.monotonic() + 60
    while sum(run.poll() is not None for run in runs) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    winner, = (run for run in runs if run.poll() is None)
    for run in runs:
        if run is not winner:
            _, said = run.communicate()
            assert run.returncode == 1 and said.count("\n") == 1
            assert f"{tmp_path / 'run'} holds a training run that process {winner.pid} on " in said


def test_an_owner_that_has_not_said_its_name_yet_is_waited_for(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(folder.os, "pread", lambda *arguments: reads.append(1) or (b"me" if len(reads) > 3 else b""))
    monkeypatch.setattr(folder.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(fcntl, "flock", lambda *arguments: (_ for _ in ()).throw(BlockingIOError()))
    for owner in ("me", "another process"):
        with pytest.raises(ValueError, match=f"holds a training run that {owner} is at work on"):
            lock(tmp_path)
        monkeypatch.setattr(folder.os, "pread", lambda *arguments: b"")


def test_runs_that_begin_at_once_without_a_folder_get_one_each(tmp_path, start):
    runs = [start(OPENS) for _ in range(3)]
    for run in runs:
        run.stdin.write("\n\n")
        run.stdin.flush()
    made = [run.communicate(timeout=60)[0].splitlines()[-1] for run in runs]
    assert len(set(made)) == 3 and sorted(made) == sorted(f"runs/{path.name}" for path in (tmp_path / "runs").iterdir())
    assert all((tmp_path / path / "options.json").is_file() for path in made)


def test_folders_of_the_same_second_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder.time, "strftime", lambda text: "now")
    assert [str(open_folder(RunOptions(), "a")) for _ in range(3)] == ["runs/a-now", "runs/a-now-2", "runs/a-now-3"]


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, caplog):
    def refuse(*arguments):
        raise OSError(38, "Function not implemented")
    monkeypatch.setattr(fcntl, "flock", refuse)
    lock(tmp_path)
    assert caplog.messages == [f"{tmp_path} cannot be locked (Function not implemented): take care that no other run "
                               "uses it"]


def test_a_link_in_the_locks_place_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / folder.LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match=folder.LOCK):
        lock(tmp_path)
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_new_run_is_refused_where_one_lies_even_without_its_options(tmp_path):
    opened = open_folder(RunOptions(output_dir=str(tmp_path / "run")), "run")
    for _ in range(2):
        with pytest.raises(ValueError, match=f"{opened} holds a training run; go on with --resume, or choose another"):
            open_folder(RunOptions(output_dir=str(opened)), "run")
        (opened / "best-00000001").mkdir(exist_ok=True)
        (opened / "best-00000001" / checkpoint.FILE).write_text("{}")
        (opened / "options.json").unlink(missing_ok=True)


def test_a_run_that_cannot_be_resumed_is_not_offered_to_be(tmp_path):
    open_folder(Unresumable(str(tmp_path)), "run")
    with pytest.raises(ValueError, match="holds a training run; choose another --output_dir"):
        open_folder(Unresumable(str(tmp_path)), "run")
