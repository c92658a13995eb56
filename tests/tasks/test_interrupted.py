"""Ctrl-C, SIGTERM and SIGHUP: a checkpoint of the step under way, one line, and a resumed run that ends as if nothing
had been."""
import json
import os
import pty
import random
import signal
import subprocess
import time

import numpy as np
import pytest
from helpers import programs
from helpers.runs import arrays, progress

from mxmp.signals import Interrupted

from .test_run import run_of

CRITERIA = [(1.0,), (2.0,), (0.5,)]


def trained(tmp_path, method, step, number=signal.SIGTERM, **given):
    """A toy run that a signal reaches in the ``step``-th call of one of its task's methods; None for no signal."""
    tmp_path.mkdir(exist_ok=True)
    task, run = run_of(tmp_path, CRITERIA, **given)
    inner, calls = getattr(task, method), []

    def wrapped(*args):
        result = inner(*args)
        calls.append(args)
        if len(calls) == step:
            os.kill(os.getpid(), number)
        return result

    setattr(task, method, wrapped)
    with task.pipe:
        run.train()
    return run


@pytest.mark.parametrize("method, step, reached", [
    *(("step", step, step) for step in range(1, 7)), *(("validate", epoch, 2 * epoch) for epoch in (1, 2, 3)),
    *(("save", save, 2 * ((save + 1) // 2)) for save in (1, 2, 3, 4))])
def test_a_run_ends_after_the_step_under_way_and_goes_on_as_if_nothing_had_been(tmp_path, method, step, reached):
    trained(tmp_path / "whole", "step", None)
    folder = tmp_path / "stopped"
    with pytest.raises(Interrupted, match="SIGTERM"):
        trained(folder, method, step)
    assert progress(folder)["step"] == reached
    trained(folder, "step", None, resume=True)
    for kind, name in (("latest", "model.params"), ("latest", "optimizer.params"), ("best", "model.params")):
        ours, theirs = arrays(folder, kind, name), arrays(tmp_path / "whole", kind, name)
        assert ours.keys() == theirs.keys()
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{key} in {kind}")
    ours, theirs = progress(folder), progress(tmp_path / "whole")
    assert [ours[key] for key in ("step", "epoch", "batch", "best", "valid")] == \
        [theirs[key] for key in ("step", "epoch", "batch", "best", "valid")]


def test_a_run_that_diverges_when_a_signal_comes_keeps_a_model_that_is_finite(tmp_path):
    task, run = run_of(tmp_path, CRITERIA, log_interval=100)
    task.scales, inner = {0: float("inf")}, task.step
    task.step = lambda batch: (inner(batch), os.kill(os.getpid(), signal.SIGINT))[0]
    with task.pipe, pytest.raises(Interrupted, match="SIGINT"):
        run.train()
    assert progress(tmp_path)["step"] == 1
    for name in ("model.params", "optimizer.params"):
        assert all(np.isfinite(array).all() for array in arrays(tmp_path, "latest", name).values())


@pytest.mark.long
@pytest.mark.parametrize("program, number, added", [
    *(("translation", number, []) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
    ("language", signal.SIGTERM, ["--dropout", "0"])])
def test_a_program_ends_with_a_checkpoint_and_the_signals_status_and_resumes(request, tmp_path, program, number, added):
    flags, whole = (request.getfixturevalue(f"{program}_{name}") for name in ("flags", "run"))
    name = {"translation": "train_translation.py", "language": "train_language_model.py"}[program]
    flags, folder, total = [*flags, *added, "--save_interval", "1000"], tmp_path / "run", progress(whole)["step"]
    step = random.SystemRandom().randint(1, total - 4)
    with subprocess.Popen(programs.command(name, *flags, "--output_dir", folder), cwd=programs.ROOT,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 240
        while not ((folder / "train.log").is_file() and f"step {step}/" in (folder / "train.log").read_text()):
            assert process.poll() is None and time.monotonic() < deadline, f"never reached step {step}"
            time.sleep(0.005)
        process.send_signal(number)
        error = process.communicate(timeout=240)[1]
    assert process.returncode == 128 + number and error.startswith("interrupted; go on with "), error
    assert error.count("\n") == 1 and progress(folder)["step"] >= step
    done = programs.run(name, "--output_dir", folder, "--resume")
    assert done.returncode == 0 and json.loads((folder / "results.json").read_text())["steps"] == total, done.stderr
    for kind, file in (("latest", "model.params"), ("latest", "optimizer.params"), ("best", "model.params")):
        ours, theirs = arrays(folder, kind, file), arrays(whole, kind, file)
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{key} in {kind}, stopped at step {step}")


@pytest.mark.long
@pytest.mark.parametrize("ignored, status", [(False, 129), (True, 0)])
def test_a_run_whose_terminal_goes_is_saved_or_with_nohup_goes_on(language_flags, tmp_path, ignored, status):
    log = tmp_path / "run/train.log"
    child, terminal = pty.fork()
    if not child:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        command = programs.command("train_language_model.py", *language_flags, "--output_dir", tmp_path / "run")
        os.execv(command[0], command)
    deadline = time.monotonic() + 240
    while not (log.is_file() and "step 2/" in log.read_text()):
        assert time.monotonic() < deadline
        os.read(terminal, 65536)
    os.close(terminal)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == status
    assert "Traceback" not in log.read_text() and progress(tmp_path / "run")["step"] >= 2
    assert (tmp_path / "run/results.json").exists() == ignored
