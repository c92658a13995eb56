"""Flags: their types, their defaults, what a resumed run brings along; and how programs end."""
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Optional, Tuple

import pytest
from helpers.programs import ROOT

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
    with pytest.raises(ValueError, match=f"--resume: {tmp_path} holds no run to go on with, it has no options.json; "
                                         "leave out --resume"):
        parse("--resume", "--output_dir", str(tmp_path), "--epochs", "3")


def saved(folder, **changed):
    """A folder whose options are the defaults but for those that are ``changed``, left out if they are to be ..."""
    values = {"format": 1, **vars(Options()), **changed}
    text = json.dumps({name: value for name, value in values.items() if value is not ...})
    (folder / "options.json").write_text(text)
    return folder


@pytest.mark.parametrize("changed, message", [
    ({"format": ...}, "its format is None, not 1; use the version of mxmp that wrote it"),
    ({"format": 2}, "its format is 2, not 1"), ({"depth": 4}, "is of another program or version: it knows depth"),
    ({"epochs": ..., "seed": ...}, "is of another program or version: it lacks epochs, seed"),
    ({"epochs": "3"}, "options.json has '3' for epochs, which must be of the type int"),
    ({"epochs": 2.5}, "has 2.5 for epochs"), ({"resume": 1}, "has 1 for resume, which must be of the type bool"),
    ({"output_dir": 3}, "has 3 for output_dir"), ({"dataset": None}, "has None for dataset"),
    ({"epochs": 0}, "options.json: --epochs must be at least 1, got 0")])
def test_options_of_another_form_are_refused_in_one_line(tmp_path, changed, message):
    with pytest.raises(ValueError, match=message) as error:
        saved_options(saved(tmp_path, **changed), Options)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_whole_numbers_are_real_ones_too_and_what_may_be_none_can_be(tmp_path):
    options = saved_options(saved(tmp_path, learning_rate=1, plan="3,4", gpus=None), Options)
    assert (options["learning_rate"], options["plan"], options["gpus"]) == (1, "3,4", None)


@pytest.mark.parametrize("before, flags, after", [
    ({"gpus": "0,1"}, ["--contexts", "cpu(0)"], ("cpu(0)", None, None)),
    ({"gpus": "0,1", "plan": "4,5"}, ["--contexts", "cpu(0-1)"], ("cpu(0-1)", None, None)),
    ({"contexts": "cpu(0-1)", "plan": "4,5"}, ["--contexts", "cpu(0)"], ("cpu(0)", None, None)),
    ({"contexts": "cpu(0-1)", "plan": "4,5"}, ["--contexts", "cpu(0-1)"], ("cpu(0-1)", None, "4,5")),
    ({"contexts": "cpu(0-1)", "plan": "4,5"}, [], ("cpu(0-1)", None, "4,5")),
    ({"contexts": "cpu(0-1)", "plan": "4,5"}, ["--contexts", "cpu(0-2)", "--plan", "2,3,4"],
     ("cpu(0-2)", None, "2,3,4")),
    ({"contexts": "cpu(0-1)", "plan": "auto"}, ["--contexts", "cpu(0-2)"], ("cpu(0-2)", None, "auto")),
    ({"contexts": "cpu(0-1)", "plan": "4,5"}, ["--gpus", "0"], ("cpu(0-1)", "0", None)),
    ({"gpus": "0,1", "plan": "4,5"}, ["--gpus", "0"], ("cpu(0-1)", "0", None))])
def test_contexts_that_a_resumed_run_is_given_replace_what_was_made_for_others(tmp_path, before, flags, after):
    options = parse("--resume", "--output_dir", str(saved(tmp_path, **before)), *flags)
    assert (options.contexts, options.gpus, options.plan) == after


def failing(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize("error", [
    ValueError("--x is 3"), RuntimeError("--x is 3"), OSError("--x is 3"), TimeoutError("--x is 3"),
    RuntimeError("\n--x\n   is 3\n"),
    RuntimeError('Traceback (most recent call last):\n  File "../a.cc", line 3\n--x is 3\nStack trace:\n  [bt] b')])
def test_a_mistake_ends_the_script_with_its_name_and_the_message(monkeypatch, error):
    monkeypatch.setattr("sys.argv", ["folder/train.py"])
    with pytest.raises(SystemExit) as ended:
        command.run(failing(error))
    assert ended.value.code == "train.py: error: --x is 3"


def test_an_error_without_a_message_is_named(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py"])
    with pytest.raises(SystemExit, match="train.py: error: RuntimeError"):
        command.run(failing(RuntimeError()))


@pytest.mark.parametrize("error", [
    MemoryError(), MemoryError("std::bad_alloc"), RuntimeError("MXNetError: Failed to allocate CPU Memory"),
    RuntimeError("could not create a primitive"), RuntimeError("cudaMalloc retry failed: out of memory")])
def test_a_lack_of_memory_is_called_so(error):
    with pytest.raises(SystemExit, match=f"memory is short .{str(error) or 'MemoryError'}.; lower the batch size"):
        command.run(failing(error))


def test_an_error_that_nobody_waited_for_prints_no_traceback_at_the_end():
    program = """
from mxmp import command
def main():
    import mxnet as mx
    mx.nd.Custom(mx.nd.ones(1), op_type="failing")
    raise ValueError("--x is 3")
import mxnet as mx
class Failing(mx.operator.CustomOp):
    def forward(self, *args):
        raise OSError("later")
@mx.operator.register("failing")
class FailingProp(mx.operator.CustomOpProp):
    def create_operator(self, *args):
        return Failing()
command.run(main)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.endswith("error: --x is 3\n"), done.stderr
    assert "MXNetError" not in done.stderr


def test_ctrl_c_says_how_to_go_on_from_the_first_moment(monkeypatch, capsys):
    monkeypatch.setattr(command, "_state", {"interrupted": "interrupted"})
    monkeypatch.setattr("sys.argv", ["a folder/train.py", "--epochs", "3"])
    for begin, arguments in ((lambda: None, None), (lambda: parse_options(Options, FIXED, None), "--epochs 3"),
                             (lambda: command.go_on_with("--resume", "--output_dir", "a run"),
                              "--resume --output_dir 'a run'")):
        begin()
        with pytest.raises(SystemExit) as ended:
            command.run(failing(KeyboardInterrupt()))
        told = f"; go on with {sys.executable} 'a folder/train.py' {arguments}" if arguments else ""
        assert ended.value.code == 130 and capsys.readouterr().err == f"interrupted{told}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_says_how_to_go_on_and_is_the_status(monkeypatch, capsys, number):
    monkeypatch.setattr(command, "_state", {"interrupted": "go on with --resume"})

    def main():
        os.kill(os.getpid(), number)
        print("went on")

    with pytest.raises(SystemExit) as ended:
        command.run(main)
    assert ended.value.code == 128 + number and capsys.readouterr() == ("", "go on with --resume\n")


def program(text, command="{}", **given):
    """A process whose main has the text, in a shell's command."""
    env = {**{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}, **given}
    text = f"from mxmp import command\ndef main():\n    {text}\ncommand.run(main)"
    line = command.format(shlex.join([sys.executable, "-c", text]))
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, timeout=100, env=env)


@pytest.mark.parametrize("text, status", [
    ("for i in range(99999): print(i)", 141), ("import time; time.sleep(1); print(1)", 141),
    ("import time; time.sleep(1); print(1, flush=True)", 141), ("import sys; sys.exit(3)", 3),
    ("import time; time.sleep(1); print(1); raise ValueError('wrong')", 1),
    ("import time, os; time.sleep(1); print(1); os.kill(os.getpid(), 15)", 143)])
def test_where_nobody_reads_there_is_no_traceback(text, status):
    done = program(text, "{} | head -c 1 >/dev/null" if "range" in text else "{} | true")
    assert done.returncode == status
    assert done.stderr == {1: b"-c: error: wrong\n", 143: b"interrupted\n"}.get(status, b"")


def test_a_log_goes_on_where_nobody_reads():
    done = program("import logging, sys, time; logging.basicConfig(stream=sys.stdout); time.sleep(1)\n"
                   "    for i in range(9): logging.error(i)\n    open('/dev/stderr', 'w').write('done')", "{} | true")
    assert (done.returncode, done.stderr) == (141, b"done")


def test_standard_output_that_takes_no_more_is_named():
    done = program("print(1)", "{} > /dev/full")
    assert (done.returncode, done.stderr) == (
        1, b"-c: error: standard output: cannot be written (No space left on device)\n")


@pytest.mark.parametrize("where", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_written_nowhere(where):
    assert program("print(1)", "{} " + where).returncode == 0


def test_letters_that_an_encoding_lacks_are_written_by_their_numbers():
    done = program("print('gr\\xf6\\udce4')", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"gr\\xf6\\udce4\n", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_an_object_is_freed_is_not_lost(number):
    done = program(f"""import os, time
    class Freed:
        def __del__(self):
            os.kill(os.getpid(), {number:d})
            time.sleep(0.001)
    Freed()
    time.sleep(20)
    print("went on")""")
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, b"", b"interrupted\n")


def test_a_bug_keeps_its_traceback():
    with pytest.raises(TypeError, match="a bug"):
        command.run(failing(TypeError("a bug")))
