"""The loop of all runs: resuming after SIGKILL, what is refused, which model is the best, divergence."""
import json
import math
import os
import random
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from helpers import programs
from helpers.runs import assert_same_run, progress, rate
from helpers.toy import run_of
from hypothesis import given
from hypothesis import strategies as st

from mxmp.command import parse_options
from mxmp.tasks import checkpoint, manifest
from mxmp.tasks.folder import open_folder
from mxmp.tasks.options import RunOptions


def test_a_run_killed_at_a_random_step_resumes_and_ends_like_one_that_was_not(whole, tmp_path):
    program, flags, undisturbed = whole
    total, folder = progress(undisturbed)["step"], tmp_path / "killed"
    step = random.SystemRandom().randint(1, total - 1)
    with subprocess.Popen(programs.command(program, *flags, "--output_dir", folder), cwd=programs.ROOT,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 240
        while not ((folder / "train.log").is_file() and f"step {step}/" in (folder / "train.log").read_text()):
            assert process.poll() is None and time.monotonic() < deadline, f"never reached step {step}"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (folder / "results.json").exists(), f"finished before it was killed at step {step}"
    done = programs.run(program, "--output_dir", folder, "--resume")  # the run knows its other options
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "results.json").read_text())["steps"] == total
    assert_same_run(folder, undisturbed)


@pytest.mark.long
def test_recomputation_changes_no_bit_of_a_run(whole, tmp_path):
    program, flags, undisturbed = whole
    done = programs.run(program, *flags, "--output_dir", tmp_path / "again", "--recompute")
    assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path / "again", undisturbed)


@pytest.mark.parametrize("reached", ["run folder", "step 2/"])
def test_ctrl_c_tells_the_command_that_goes_on(whole, tmp_path, reached):
    program, flags, undisturbed = whole
    folder = tmp_path / "a run"
    with subprocess.Popen(programs.command(program, *flags, "--output_dir", folder), cwd=programs.ROOT, text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not (
                (folder / "options.json").is_file() and reached in (folder / "train.log").read_text()):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1].splitlines()[-1]
    done = subprocess.run(shlex.split(said.partition("go on with ")[2]), cwd=programs.ROOT, capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, (said, done.stderr)
    assert_same_run(folder, undisturbed)


def test_a_folder_in_use_a_changed_size_and_other_text_are_refused_and_nothing_is_lost(whole):
    program, flags, folder = whole
    before = sorted(path.name for path in folder.iterdir())
    options = json.loads((folder / "options.json").read_text())
    hidden = flags[flags.index("--hidden_size") + 1]
    other = [text for flag in flags if flag.startswith("--train_")
             for text in (flag, flags[flags.index(flag.replace("train", "valid")) + 1])]
    for wrong, message in (([], "holds a training run"),
                           (["--resume", "--hidden_size", "24"], f"--hidden_size was {hidden}"),
                           (["--resume", *other], "not the one that")):
        done = programs.run(program, *flags, "--output_dir", folder, *wrong)
        assert done.returncode == 1 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == before
    assert json.loads((folder / "options.json").read_text()) == options


def test_a_run_that_was_interrupted_before_its_first_step_goes_on_with_its_options(tmp_path):
    folder = open_folder(RunOptions(epochs=7, output_dir=str(tmp_path / "run")), "a run")
    resumed = parse_options(RunOptions, (), None, ["--resume", "--output_dir", str(folder)])
    assert resumed.epochs == 7 and open_folder(resumed, "a run") == folder


def best(folder):
    """The checkpoint that a run's model is taken from."""
    with checkpoint.best(folder) as path:
        return path


@pytest.mark.parametrize("criteria, epoch", [
    ([(0.0, -1.0), (2.0, -3.0), (2.0, -2.0), (1.0, 0.0)], 3), ([(-3.0,), (-4.0,)], 1),
    ([(0.0, -2.0), (0.0, -1.0), (0.0, -1.0), (0.0, -3.0)], 3), ([(math.nan,), (-4.0,), (math.nan,), (-5.0,)], 2)])
def test_the_last_of_the_highest_criteria_is_the_best_and_none_that_is_no_number(tmp_path, criteria, epoch):
    task, run = run_of(tmp_path, criteria)
    with task.pipe:
        results = run.train()
    assert best(tmp_path).name == f"best-{2 * epoch:08d}" and run.progress.best == list(criteria[epoch - 1])
    assert (results["score"], results["steps"], results["epochs"]) == (7, 2 * len(criteria), len(criteria))
    np.testing.assert_array_equal([row[2] for row in run.progress.valid], [first for first, *_ in criteria])
    assert (best(tmp_path) / "toy").read_text() == "saved"


def test_a_smoothed_loss_is_called_so_and_gets_no_perplexity(tmp_path, caplog):
    task, run = run_of(tmp_path, [(1.0,)])
    with task.pipe, caplog.at_level("INFO", "mxmp"):
        run.train()
    steps = [line for line in caplog.messages if "step" in line]
    assert len(steps) == 2 and all("/2 smoothed loss " in line and "ppl" not in line for line in steps)


def test_initial_values_are_the_seeds(tmp_path):
    values = []
    for seed in (1, 1, 2):
        task, _ = run_of(tmp_path, [(1.0,)], seed=seed)
        with task.pipe:
            values.append({n: p.data(p.list_ctx()[0]).asnumpy() for n, p in task.pipe.collect_params().items()})
    first, again, other = (np.concatenate([array.ravel() for array in each.values()]) for each in values)
    assert (first == again).all() and (first != other).any()


def test_a_resumed_run_goes_on_and_gives_the_task_what_it_saved(tmp_path):
    for criteria in ([(1.0,)], [(1.0,), (0.5,)]):
        task, run = run_of(tmp_path, criteria, resume=len(criteria) > 1)
        with task.pipe:
            run.train()
    assert (task.restored, run.progress.step, run.progress.best) == ("saved", 4, [1.0])
    assert [step for step, _ in run.progress.train_loss] == [1, 2, 3, 4]


def resumed(tmp_path, criteria=((1.0,), (0.5,), (0.25,)), **given):
    """What a run of two steps an epoch, that goes on from what lies in its folder, has as its model at the end."""
    task, run = run_of(tmp_path, criteria, resume=True, **given)
    with task.pipe:
        run.train()
        return {name: p.data(p.list_ctx()[0]).asnumpy() for name, p in task.pipe.collect_params().items()}


@pytest.mark.parametrize("damage, used", [
    (lambda latest: (latest / "toy").unlink(), "best"), (lambda latest: (latest / "manifest.json").unlink(), "best"),
    (lambda latest: (latest / "optimizer.params").write_bytes(b"other"), "best"), (shutil.rmtree, "best"),
    (lambda latest: latest.with_name("latest-mine").symlink_to(latest), "latest")])
def test_a_run_goes_on_from_the_newest_whole_checkpoint_and_ends_the_same(tmp_path, caplog, damage, used):
    for name in ("whole", "damaged"):
        (tmp_path / name).mkdir()
        resumed(tmp_path / name, ((1.0,), (0.5,)))
    latest, = (tmp_path / "damaged").glob("latest-*")
    damage(latest)
    caplog.set_level("INFO", "mxmp")
    with checkpoint.newest(tmp_path / "damaged", "latest", "best") as path:
        assert path.name.startswith(used)
    ended, expected = resumed(tmp_path / "damaged"), resumed(tmp_path / "whole")
    assert [line for line in caplog.messages if line.startswith("resumed")][0] == (
        f"resumed {path} at step {2 if used == 'best' else 4}")
    for ours, theirs in zip(ended.values(), expected.values()):
        np.testing.assert_array_equal(ours, theirs)
    (tmp_path / "damaged" / "latest-mine").unlink(missing_ok=True)
    assert progress(tmp_path / "damaged")["valid"] == progress(tmp_path / "whole")["valid"]


@pytest.mark.parametrize("described, message", [
    ({"fingerprint": "other"}, "the text is not the one that"), ({"model": {"layers": 4}}, "is another run's: its"),
    ({"progress": {"epoch": 0, "batch": 1, "step": 3}}, "is at epoch 0, batch 1, step 3, where no run of --epochs 3"),
    ({"progress": {"epoch": 4, "step": 8}}, "is at epoch 4, batch 0, step 8, where no run of --epochs 3 with 2"),
    ({"progress": {"epoch": "1"}}, "checkpoint.json has '1' for epoch, which must be of the type int"),
    ({"progress": {"train_loss": [[1, None]]}}, "for train_loss"), ({"progress": {"worst": 1}}, "it knows worst")])
def test_a_checkpoint_that_is_not_this_runs_is_refused(tmp_path, described, message):
    resumed(tmp_path, ((1.0,),))
    latest, = tmp_path.glob("latest-*")
    values = json.loads((latest / "checkpoint.json").read_text())
    for name, value in described.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    (latest / "checkpoint.json").write_text(json.dumps(values))
    manifest.write(latest)
    with pytest.raises(ValueError, match=message):
        resumed(tmp_path)
    assert latest.is_dir()


@pytest.mark.parametrize("epochs, warmup", [(1, 0), (4, 0), (4, 1), (4, 3), (4, 99)])
def test_rates_rise_and_fall_along_a_cosine_and_go_on_there(tmp_path, epochs, warmup):
    rates = []
    for trained in sorted({1, epochs}):  # the second run is resumed after the first's last step
        task, run = run_of(tmp_path, [(1.0,)] * epochs, resume=trained > 1, warmup_steps=warmup)
        run._trainer.set_learning_rate = rates.append
        run._options = replace(run._options, epochs=trained)
        with task.pipe:
            run.train()
    total = 2 * epochs
    assert rates == pytest.approx([rate(step, total, 0.003, warmup) for step in range(total)], rel=1e-12)


@given(st.integers(1, 200), st.integers(0, 400), st.randoms())
def test_mxnets_scheduler_follows_the_formula_whatever_it_was_asked_before(total, warmup, random):
    scheduler = mx.lr_scheduler.CosineScheduler(total + 1, 1.0, warmup_steps=min(warmup, total // 2))
    order = random.sample(range(total), total)
    rates = dict(sorted((step, scheduler(step + 1)) for step in order))
    assert list(rates.values()) == pytest.approx([rate(step, total, 1.0, warmup) for step in range(total)], rel=1e-12)
    ordered, top = list(rates.values()), max(rates, key=rates.get)
    assert all(0 < value <= 1 for value in ordered) and (ordered[top] == 1 or not min(warmup, total // 2))
    assert ordered[:top + 1] == sorted(ordered[:top + 1]) and ordered[top:] == sorted(ordered[top:], reverse=True)
