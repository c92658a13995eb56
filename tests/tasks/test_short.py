"""What the short runs share: flags with a task's own defaults, and a folder for one run only."""
import json
from dataclasses import dataclass

import pytest

from mxmp.command import flag, parse_flags
from mxmp.tasks.short import open_folder
from mxmp.tasks.short_options import ShortOptions


@dataclass(frozen=True)
class Options(ShortOptions):
    epochs: int = flag(7, "passes")
    width: int = flag(3, "width")


def test_flags_are_the_shared_ones_and_the_tasks_own_with_its_defaults():
    options = parse_flags(Options, None, ["--width", "5", "--contexts", "cpu(0-2)", "--learning_rate", "0.5"])
    assert (options.epochs, options.width, options.learning_rate, options.contexts) == (7, 5, 0.5, "cpu(0-2)")
    assert set(options.as_dict()) == {"contexts", "gpus", "plan", "num_microbatches", "schedule", "threads_per_context",
                                      "hidden_size", "batch_size", "epochs", "learning_rate", "seed", "output_dir",
                                      "width"}


@pytest.mark.parametrize("name, value, message", [
    ("epochs", "0", "--epochs must be at least 1, got 0"), ("seed", "-1", "--seed must be at least 0, got -1"),
    ("learning_rate", "nan", "--learning_rate must be positive, got nan")])
def test_impossible_values_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        parse_flags(Options, None, ["--" + name, value])


def test_a_folder_remembers_its_options_and_is_for_one_run(tmp_path):
    options = Options(output_dir=str(tmp_path / "run"))
    folder = open_folder(options, "task")
    assert json.loads((folder / "options.json").read_text()) == options.as_dict()
    assert "run folder" in (folder / "train.log").read_text()
    with pytest.raises(ValueError, match="holds a run; choose another --output_dir"):
        open_folder(options, "task")


def test_without_a_name_the_folder_is_the_tasks_and_the_times(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(open_folder(Options(), "task")).startswith("runs/task-20")
