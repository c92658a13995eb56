"""Flags: their types, their defaults, what a resumed run brings along; and how programs end."""
from dataclasses import dataclass
from typing import Tuple

import pytest

from mxmp import command
from mxmp.command import flag, parse_flags, parse_options, save_options, saved_options
from mxmp.tasks.translation.options import FIXED, Options


def parse(*arguments):
    return parse_options(Options, FIXED, "a test", arguments)


def numbers(text):
    return tuple(map(int, text.split(",")))


@dataclass(frozen=True)
class Sizes:
    cuts: Tuple[int, ...] = flag("1,2", "cuts", type=numbers)
    name: str = flag("", "a name")
    loud: bool = flag(False, "louder")

    def __post_init__(self):
        command.check_at_least(1, self, "cuts")


@dataclass(frozen=True)
class More(Sizes):
    depth: int = flag(3, "how deep")


def test_no_flags_give_the_defaults():
    assert parse() == Options() and parse_flags(More, None, []) == More((1, 2), "", False, 3)


def test_flags_have_their_options_type():
    options = parse("--vocab_size", "50", "--dropout", "0.5", "--separate_vocab", "--plan", "3,5")
    assert (options.vocab_size, options.dropout, options.separate_vocab, options.plan) == (50, 0.5, True, "3,5")
    assert parse_flags(More, None, ["--cuts", "4,8", "--loud"]) == More((4, 8), "", True)


def test_one_value_of_several_may_be_impossible():
    with pytest.raises(ValueError, match=r"--cuts must be at least 1, got \(2, 0\)"):
        parse_flags(More, None, ["--cuts", "2,0"])


def test_help_shows_own_flags_first_and_the_defaults(capsys):
    with pytest.raises(SystemExit):
        parse_flags(More, "what it does", ["--help"])
    shown = capsys.readouterr().out
    assert shown.index("what it does") < shown.index("how deep (default 3)") < shown.index("cuts (default 1,2)")
    assert "(default )" not in shown and "(default False)" not in shown


@pytest.mark.parametrize("dataset, size", [("numbers", 192), ("multi30k", 384)])
def test_help_shows_the_defaults_of_the_data_set(capsys, dataset, size):
    with pytest.raises(SystemExit):
        parse("--help", "--dataset", dataset)
    assert f"width of the LSTM layers (default {size})" in capsys.readouterr().out


def test_a_resumed_run_keeps_its_options_unless_told_otherwise(tmp_path):
    begun = parse("--dataset", "multi30k", "--dropout", "0.5", "--epochs", "7", "--output_dir", str(tmp_path))
    assert save_options(tmp_path, begun) == []
    resumed = parse("--epochs", "9", "--output_dir", str(tmp_path), "--resume")
    assert (resumed.dropout, resumed.epochs, resumed.resume, resumed.hidden_size) == (0.5, 9, True, 384)
    assert save_options(tmp_path, resumed) == ["--epochs was 7, is 9 now"]
    assert saved_options(tmp_path, Options)["epochs"] == 9


@pytest.mark.parametrize("flag, value", [("hidden_size", "24"), ("max_length", "9"), ("seed", "2"), ("tgt_lang", "de"),
                                         ("dataset", "multi30k"), ("bleu_tokenize", "char")])
def test_what_shapes_the_model_the_data_or_its_scores_cannot_change(tmp_path, flag, value):
    save_options(tmp_path, parse())
    with pytest.raises(ValueError, match=f"--{flag} was .* and is {value} now; resume with the same"):
        parse("--resume", "--output_dir", str(tmp_path), f"--{flag}", value)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "options.json").write_text("{")
    with pytest.raises(ValueError, match="cannot read .*options.json"):
        parse("--resume", "--output_dir", str(tmp_path))


def test_resuming_nothing_begins_with_the_flags_given(tmp_path):
    resumed = parse("--resume", "--output_dir", str(tmp_path), "--epochs", "3", "--dataset", "files")
    assert (resumed.epochs, resumed.vocab_size) == (3, 6000)


def failing(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize("error", [ValueError("--x is 3"), RuntimeError("--x is 3"), OSError("--x is 3")])
def test_a_mistake_ends_the_script_with_its_name_and_the_message(monkeypatch, error):
    monkeypatch.setattr("sys.argv", ["folder/train.py"])
    with pytest.raises(SystemExit) as ended:
        command.run(failing(error))
    assert ended.value.code == "train.py: error: --x is 3"


def test_ctrl_c_says_how_to_go_on():
    with pytest.raises(SystemExit) as ended:
        command.run(failing(KeyboardInterrupt()), "go on with --resume")
    assert ended.value.code == "go on with --resume"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(TypeError, match="a bug"):
        command.run(failing(TypeError("a bug")))
