"""Options of all tasks: defaults of the data sets, what may not change, errors."""
import subprocess
import sys
from dataclasses import fields

import pytest

from mxmp.command import parse_options
from mxmp.tasks.language import options as language
from mxmp.tasks.options import RunOptions
from mxmp.tasks.translation import options as translation

TASKS = [language, translation]


@pytest.mark.parametrize("task, dataset", [(task, dataset) for task in TASKS for dataset in task.PRESETS])
def test_a_data_sets_defaults_stand_where_nothing_was_said(task, dataset):
    options = parse_options(task.Options, task.FIXED, None, ["--dataset", dataset, "--hidden_size", "7"])
    assert options.dataset == dataset and options.hidden_size == 7
    assert {**vars(task.Options()), **task.PRESETS[dataset], "hidden_size": 7, "dataset": dataset} == vars(options)


def test_no_number_is_left_to_be_filled_in():
    assert [f"{task.__name__} {f.name}" for task in TASKS for f in fields(task.Options)
            if "Optional" in f.type and not ("str" in f.type and f.default is None)] == []


@pytest.mark.parametrize("task", TASKS)
def test_every_option_has_help_and_what_is_fixed_is_one(task):
    assert [f.name for f in fields(task.Options) if not f.metadata["help"]] == []
    assert set(task.FIXED) <= {f.name for f in fields(task.Options)}


@pytest.mark.parametrize("wrong, message", [
    ({"batch_size": 0}, "--batch_size must be at least 1, got 0"), ({"epochs": -1}, "--epochs must be"),
    ({"learning_rate": 0.0}, "--learning_rate must be positive, got 0.0"), ({"resume": True}, "needs --output_dir")])
@pytest.mark.parametrize("kind", [RunOptions, language.Options, translation.Options])
def test_impossible_values_are_named(kind, wrong, message):
    with pytest.raises(ValueError, match=message):
        kind(**wrong)


@pytest.mark.parametrize("name", [*(task.__name__ for task in TASKS), "mxmp.tasks.request", "mxmp.command"])
def test_flags_are_parsed_before_mxnet_loads(name):
    code = f"import sys, {name}; sys.exit('mxnet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("flags, kept", [
    ({"schedule": "interleaved"}, False), ({"stages_per_context": 3}, True), ({"schedule": "fill_drain"}, True),
    ({"contexts": "cpu(0-2)"}, False)])
def test_a_resumed_run_keeps_its_plan_where_its_stages_stay_on_their_contexts(flags, kept):
    saved = {**vars(RunOptions()), "plan": "4,5"}
    assert RunOptions.resumed(saved, flags)["plan"] == ("4,5" if kept else None)
    turns = {**saved, "schedule": "interleaved", "plan": "1,2,3,3"}
    assert RunOptions.resumed(turns, {"stages_per_context": 3})["plan"] is None
    assert RunOptions.resumed(turns, {"schedule": "1f1b"})["plan"] is None
    assert RunOptions.resumed(turns, {})["plan"] == "1,2,3,3"
