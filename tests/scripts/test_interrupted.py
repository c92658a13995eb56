"""What translate.py and generate_text.py leave when they are interrupted, and where nobody reads."""
import json
import os
import signal
import subprocess
import time

import pytest
from helpers import programs

LINES = ["the third of March seventeen eleven", "two euro, ten cents", "", "twenty-one"]
SIZES = "--embed_size 4 --hidden_size 4 --batch_size 2 --epochs 1 --num_microbatches 2".split()


def language_flags(folder):
    """Flags of a short run on the folder's text."""
    return [*SIZES, "--bptt=2", "--num_chunks=2",
            *(f"--{split}_text={folder}/text" for split in ("train", "valid", "test"))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of a translation run and of a language model's, both of one step."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text").write_text("\n".join(filter(None, LINES * 3)) + "\n")
    pairs = [f"--{split}_{side}={folder}/text" for split in ("train", "valid", "test") for side in ("src", "tgt")]
    for name, flags in (("translation", [*SIZES, *pairs, "--dataset=files", "--vocab_size=40", "--encoder_layers=1",
                                         "--decoder_layers=1", f"--cache_dir={folder}/cache"]),
                        ("language_model", language_flags(folder))):
        done = programs.run(f"train_{name}.py", *flags, "--output_dir", folder / name)
        assert done.returncode == 0, done.stderr
    return folder


def started(name, *arguments):
    return subprocess.Popen(programs.command(name, *arguments), cwd=programs.ROOT, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def wait_for(process, condition):
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("nbest", [1, 2])
def test_translations_in_chunks_are_those_of_each_alone(runs, tmp_path, nbest):
    (tmp_path / "in").write_text("\n".join(LINES * 20) + "\n")  # five chunks
    done = programs.run("translate.py", "--model", runs / "translation", "--input", tmp_path / "in", "--batch_size", 1,
                        "--nbest", nbest, "--max_length", 5)
    assert done.returncode == 0, done.stderr
    alone = []
    for line in LINES:
        alone.append(programs.run("translate.py", "--model", runs / "translation", "--nbest", nbest, "--max_length", 5,
                                  input=line + "\n").stdout.splitlines())
    expected = [line if nbest == 1 else f"{i}\t{line.split(chr(9), 1)[1]}" for i in range(80) for line in alone[i % 4]]
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_translated_is_there_after_a_signal_and_what_was_there_before_it(runs, tmp_path, number):
    out, count = tmp_path / "out", 20000
    (tmp_path / "in").write_text("\n".join(LINES * count) + "\n")
    out.write_text("older\n")
    with started("translate.py", "--model", runs / "translation", "--input", tmp_path / "in", "--output", out,
                 "--max_length", 5, "--batch_size", 8) as process:
        seen = set()
        wait_for(process, lambda: seen.add(out.read_text()[:6]) or out.read_text().count("\n") > 100)
        process.send_signal(number)
        error = process.communicate(timeout=60)[1]
    assert (process.returncode, error) == (128 + number, "interrupted\n")
    lines = out.read_text().splitlines()
    assert 100 < len(lines) < 4 * count and lines[2::4] == [""] * len(lines[2::4]) and "" not in seen
    alone = programs.run("translate.py", "--model", runs / "translation", "--max_length", 5,
                         input="\n".join(LINES) + "\n").stdout.splitlines()
    assert lines[:100] == alone * 25


def test_an_older_output_stays_where_nothing_was_translated(runs, tmp_path):
    (tmp_path / "out").write_text("older\n")
    for text, arguments in (("a \xff".encode("latin-1"), []), (b"a\n", ["--plan", "99"])):
        (tmp_path / "in").write_bytes(text)
        done = programs.run("translate.py", "--model", runs / "translation", "--input", tmp_path / "in", "--output",
                            tmp_path / "out", *arguments)
        assert done.returncode == 1 and (tmp_path / "out").read_text() == "older\n"


def test_an_output_that_takes_no_more_is_named(runs):
    done = programs.run("translate.py", "--model", runs / "translation", "--output", "/dev/full", input="one\n")
    assert (done.returncode, done.stderr) == (
        1, "translate.py: error: /dev/full: cannot be written (No space left on device)\n")


def test_what_was_drawn_is_there_after_a_signal(runs):
    with started("generate_text.py", "--model", runs / "language_model", "--length", 10 ** 8, "--num_samples", 2,
                 "--prompt", "twenty-one") as process:
        time.sleep(10)
        process.send_signal(signal.SIGTERM)
        text, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (143, "interrupted\n")
    assert text.startswith("twenty-one") and len(text) > 100 and "\n\ntwenty-one" in text


@pytest.mark.parametrize("name, arguments, status", [
    ("translate.py", "--model {runs}/translation --input {runs}/text", 141),
    ("generate_text.py", "--model {runs}/language_model --num_samples 9", 141),
    ("plan.py", "--embed_size 4 --hidden_size 4", 141), ("plan.py", "--help", 0), ("benchmark", "--help", 0),
    ("benchmark", "plans --hidden_size 4 --vocab_size 9 --seq_len 2 --batch_size 4 --repeats 1", 141),
    ("train_language_model.py", "{flags} --output_dir {tmp}/run", 141),
    ("examples/forecast_series", "--num_series 2 --num_weeks 14 --hidden_size 4 --epochs 1 --output_dir {tmp}/run",
     141)])
def test_a_program_whose_reader_goes_says_nothing_and_a_run_goes_on(runs, tmp_path, name, arguments, status):
    reader, writer = os.pipe()
    os.close(reader)
    arguments = arguments.format(runs=runs, tmp=tmp_path, flags=" ".join(language_flags(runs))).split()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(programs.command(name, *arguments), cwd=programs.ROOT, stdout=writer, env=env,
                          stderr=subprocess.PIPE, timeout=200)
    os.close(writer)
    assert (done.returncode, done.stderr) == (status, b"")
    assert (tmp_path / "run/results.json").exists() == ("--output_dir" in arguments)


def test_names_of_files_that_are_not_utf8_and_a_terminal_of_ascii_stop_nothing(runs, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/l\xe4uf")
    os.symlink(runs / "text", odd)
    flags = [flag.replace(f"{runs}/text", odd) for flag in language_flags(runs)]
    done = programs.run("train_language_model.py", *flags, "--output_dir", tmp_path / "größe", env={
        **os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "größe"
    assert json.loads((folder / "results.json").read_text())["options"]["train_text"] == odd
    assert "gr\\xf6\\xdfe" in done.stdout and "größe" in (folder / "train.log").read_text()
    done = programs.run("translate.py", "--model", runs / "translation", "--input", odd, "--output", odd + "-out")
    assert (done.returncode, done.stderr) == (0, "") and os.path.getsize(odd + "-out") > 0
