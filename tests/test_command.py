"""Flags: their types, their defaults, what a resumed run brings along; and how programs end."""
from dataclasses import dataclass
from typing import Optional, Tuple

import pytest

from mxmp import command
from mxmp.command import flag, numbers, parse_flags, parse_options, save_options, saved_options
from mxmp.tasks.translation.options import FIXED, Options


def parse(*arguments):
    return parse_options(Options, FIXED, "a test", arguments)


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
    rate: float = flag(0.5, "how fast")
    folder: Optional[str] = flag(None, "where", type=str)


def test_no_flags_give_the_defaults():
    assert parse() == Options() and parse_flags(More, None, []) == More((1, 2), "", False, 3)


def test_flags_have_their_options_type():
    options = parse("--vocab_size", "50", "--dropout", "0.5", "--separate_vocab", "--plan", "3,5")
    assert (options.vocab_size, options.dropout, options.separate_vocab, options.plan) == (50, 0.5, True, "3,5")
    assert parse_flags(More, None, ["--cuts", "4,8", "--loud"]) == More((4, 8), "", True)


def test_one_value_of_several_may_be_impossible():
    with pytest.raises(ValueError, match=r"--cuts must be at least 1, got \(2, 0\)"):
        parse_flags(More, None, ["--cuts", "2,0"])


@pytest.mark.parametrize("arguments, message", [
    (["--depth", "x"], "argument --depth: 'x' is no whole number below 2^31; --help lists the flags"),
    (["--depth", "2147483648"], "argument --depth: '2147483648' is no whole number below 2^31"),
    (["--cuts", "1,x"], "argument --cuts: 'x' is no whole number"),
    (["--rate", "x"], "argument --rate: 'x' is no number"),
    (["--rate", "nan"], "argument --rate: 'nan' is no number"), (["--folder", ""], "argument --folder: '' is empty"),
    (["--deep"], "unrecognized arguments: --deep; --help lists the flags"),
    (["--depth"], "argument --depth: expected one argument")])
def test_a_mistake_in_a_flag_is_one_line(arguments, message):
    with pytest.raises(ValueError, match=message.replace("^", r"\^")) as error:
        parse_flags(More, None, arguments)
    assert "\n" not in str(error.value)


def test_text_that_is_not_utf8_is_named():
    command.check_utf8(More(folder="größe"), "folder", "name")
    with pytest.raises(ValueError, match=r"--folder 'l\\udce4uf' is not valid UTF-8"):
        command.check_utf8(More(folder="l\udce4uf"), "folder")


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


def test_what_is_resumed_must_be_there(tmp_path):
    with pytest.raises(ValueError, match=f"--resume: {tmp_path} holds no run to go on with; leave out --resume"):
        parse("--resume", "--output_dir", str(tmp_path), "--epochs", "3")


@pytest.mark.parametrize("text", ["[]", "3", '{"epochs": 3, "depth": 4}'])
def test_options_of_another_program_are_refused(tmp_path, text):
    (tmp_path / "options.json").write_text(text)
    with pytest.raises(ValueError, match="options.json has options of another program or version"):
        saved_options(tmp_path, Options)


def failing(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize("error", [
    ValueError("--x is 3"), RuntimeError("--x is 3"), OSError("--x is 3"), MemoryError("--x is 3"),
    RuntimeError("\n--x\n   is 3\n"),
    RuntimeError('Traceback (most recent call last):\n  File "../a.cc", line 3\n--x is 3\nStack trace:\n  [bt] b')])
def test_a_mistake_ends_the_script_with_its_name_and_the_message(monkeypatch, error):
    monkeypatch.setattr("sys.argv", ["folder/train.py"])
    with pytest.raises(SystemExit) as ended:
        command.run(failing(error))
    assert ended.value.code == "train.py: error: --x is 3"


def test_an_error_without_a_message_is_named(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py"])
    with pytest.raises(SystemExit, match="train.py: error: MemoryError"):
        command.run(failing(MemoryError()))


def test_ctrl_c_says_how_to_go_on():
    with pytest.raises(SystemExit) as ended:
        command.run(failing(KeyboardInterrupt()), "go on with --resume")
    assert ended.value.code == "go on with --resume"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(TypeError, match="a bug"):
        command.run(failing(TypeError("a bug")))
