"""Runs that SIGKILL ends at random moments, again and again: what they leave is what it would be without."""
import json
import math
import random
import re
import signal
import subprocess
import time

import pytest
from helpers import programs
from helpers.runs import assert_same_run, logged

from .conftest import trained

KILLS = 20
ROUNDING = 1e-5  # of the largest value: 50 steps of 2^-23 each; a single step more or less moves it by some 1e-3
RANDOM = random.SystemRandom()


def ended(program, flags, folder, steps=math.inf, saving=False, contexts=()):
    """Start a run, or go on with it by ``--resume`` alone or on other contexts, and kill it up to 0.15 s after it has
    logged some ``steps`` more, or up to 5 ms after it has begun to save; returns whether it had ended before."""
    log, flags = folder / "train.log", ["--resume"] if (folder / "options.json").is_file() else flags
    before = len(log.read_text().splitlines()) if log.is_file() else 0, set(folder.glob(".mxmp-partial-*"))

    def reached():
        if saving:
            return set(folder.glob(".mxmp-partial-*")) - before[1]
        lines = log.read_text().splitlines()[before[0]:] if log.is_file() else []
        return lines and len([line for line in lines if re.search(r" step \d+/", line)]) >= steps

    with subprocess.Popen(programs.command(program, *flags, *contexts, "--output_dir", folder),
                          cwd=programs.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not reached():
            time.sleep(0.001)
        time.sleep(RANDOM.uniform(0, 0.005 if saving else 0.15))
        process.kill()
        error = process.stderr.read()
    assert process.returncode in (0, -signal.SIGKILL), error
    return process.returncode == 0


def killed_runs(program, flags, tmp_path):
    """The folders of runs that are killed `KILLS` times in all, a first one until it ends, then another one."""
    flags, kills, while_saving, folder = [*flags, "--save_interval", 1], 0, 0, None
    while kills < KILLS:
        folder = tmp_path / f"after {kills} kills"
        while not ended(program, flags, folder, *((RANDOM.randint(0, 2), kills % 2 == 0) if kills < KILLS else ())):
            kills += 1
            while_saving += bool(list(folder.glob(".mxmp-partial-*")))
        assert not list(folder.glob(".mxmp-partial-*"))
        yield folder
    assert while_saving > 1, f"{while_saving} of {kills} moments were of saving"


@pytest.mark.long
def test_runs_killed_at_random_moments_end_like_one_that_was_not(whole, tmp_path):
    program, flags, undisturbed = whole
    for run in killed_runs(program, flags, tmp_path):
        assert_same_run(run, undisturbed)
        assert logged(run) == logged(undisturbed)


@pytest.mark.long
def test_runs_killed_under_an_automatic_plan_keep_the_plan_and_end_like_one_that_was_not(translation_flags, tmp_path):
    program = "train_translation.py"
    for run in killed_runs(program, [*translation_flags, "--plan", "auto"], tmp_path):
        before, first, after = (run / "train.log").read_text().partition(" step 1/")
        assert "measuring the layers" in before and first and "measuring the layers" not in after
        options = json.loads((run / "options.json").read_text())
        plan = [text for name in ("plan", "num_microbatches", "schedule") for text in ("--" + name, str(options[name]))]
        folder = tmp_path / "-".join(["whole", *plan])
        if not folder.exists():
            trained(program, folder, *translation_flags, *plan)
        assert_same_run(run, folder)
        assert logged(run) == logged(folder)


@pytest.mark.long
@pytest.mark.parametrize("schedule", ["continuous", "interleaved"])
def test_a_killed_run_of_another_schedule_ends_like_one_that_was_not(translation_flags, tmp_path, schedule):
    flags = [*translation_flags, "--schedule", schedule, "--save_interval", "3"]  # where a stream is flushed
    undisturbed, run = trained("train_translation.py", tmp_path / "whole", *flags), tmp_path / "killed"
    while not ended("train_translation.py", flags, run, RANDOM.randint(2, 9)):
        pass
    assert_same_run(run, undisturbed)
    assert logged(run) == logged(undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("task", ["translation", "language"])
def test_a_killed_run_goes_on_on_other_contexts_and_ends_the_same_to_rounding(request, tmp_path, task):
    program = {"translation": "train_translation.py", "language": "train_language_model.py"}[task]
    flags = [*request.getfixturevalue(task + "_flags"), "--dropout", "0"]  # another stage draws other masks
    undisturbed, run = trained(program, tmp_path / "whole", *flags), tmp_path / "killed"
    for contexts, steps in (("cpu(0-1)", 1), ("cpu(0-2)", 4), ("cpu(0)", 2)):
        assert not ended(program, flags, run, steps, contexts=["--contexts", contexts])
    assert ended(program, flags, run, contexts=["--contexts", "cpu(0-2)"])
    assert_same_run(run, undisturbed, ROUNDING)
    rates = [{(step, text.split()[-1]) for step, _, text, _ in logged(folder) if step} for folder in (run, undisturbed)]
    assert rates[0] == rates[1]
