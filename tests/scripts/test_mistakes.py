"""A user's mistake, in any program, gets one line that names it, and no traceback."""
import logging
import resource
import shlex
from pathlib import Path

import pytest
from helpers import programs
from helpers.mistakes import MISTAKES, RUN, TEXT

from mxmp.data import ParallelText, Subwords
from mxmp.tasks import manifest

NUMBERS = ["one", "two", "three", "four", "five six", "seven eight", "nine ten", "eleven twelve"]
CASES = [pytest.param(program, base, *line.split(" | "), id=f"{program} {line.split(' | ')[0]}")
         for program, base, lines in MISTAKES for line in lines.strip("\n").split("\n") if line]
PROGRAMS = {program: base for program, base, _ in reversed(MISTAKES)}


def damaged(run, folder, name, data, told=True):
    """A copy of a run, with other bytes in a file of each of its checkpoints, or without it, of which their manifests
    may be ``told``."""
    for path in run.glob("*-*/*"):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        if path.name != name:
            (folder / path.parent.name / path.name).write_bytes(path.read_bytes())
        elif data is not None:
            (folder / path.parent.name / path.name).write_bytes(data)
    for checkpoint in folder.iterdir() if told else ():
        manifest.write(checkpoint)
    (folder / "options.json").write_bytes((run / "options.json").read_bytes())
    return folder


def finish_log():
    """Close what a run's log was written to."""
    for handler in list(logging.getLogger("mxmp").handlers):
        logging.getLogger("mxmp").removeHandler(handler)
        handler.close()


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The files and folders that the table names, by name."""
    there = tmp_path_factory.mktemp("mistakes")
    lines = ("\n".join(NUMBERS) + "\n").encode()
    files = {"text": lines, "other": lines + lines, "file": b"a file\n", "empty": b"", "garbage": b"\xff\xfe\0\x80",
             "blank": b"\n\t\n \n", "zip": b"no gzip", "utf16": "one\n".encode("utf-16-le"), "mac": b"one\rtwo\r"}
    places = {name: there / (name + ".gz" if name == "zip" else name) for name in files}
    for name, data in files.items():
        places[name].write_bytes(data)
    places.update({name: there / name for name in ("nowhere", "folder", "translation", "language")}, there=there)
    places["folder"].mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, program, flags in (("translation", "train_translation.py", RUN),
                                     ("language", "train_language_model.py", TEXT)):
            flags = [flag.format(**places) for flag in shlex.split(flags)]
            assert programs.run_here(patch, program, *flags, "--output_dir", places[name]) == 0
            finish_log()
    swapped, = set(Subwords.train(ParallelText(NUMBERS, NUMBERS), 35).models)
    for name, run, file, data in (
            ("swapped", "translation", "subwords.model", swapped),
            ("garbled", "translation", "subwords.model", b"garbage"),
            ("parameters", "translation", "model.params", b"garbage"), ("lost", "translation", "model.params", None),
            ("listed", "translation", "checkpoint.json", b"[]"), ("words", "language", "words.json", b"{}")):
        places[name] = damaged(places[run], there / name, file, data)
    parameters, *_ = (path.read_bytes() for path in places["translation"].glob("best-*/model.params"))
    places["flipped"] = damaged(places["translation"], there / "flipped", "model.params",
                                parameters[:-1] + bytes([parameters[-1] ^ 1]), told=False)
    places["unnamed"] = damaged(places["translation"], there / "unnamed", "none", None)
    (places["unnamed"] / "options.json").unlink()
    return places


def test_every_program_is_in_the_table():
    scripts = programs.ROOT / "scripts"
    paths = [*scripts.glob("*.py"), *(path.parent for path in scripts.rglob("__main__.py"))]
    assert set(PROGRAMS) == {str(path.relative_to(scripts)) for path in paths}


@pytest.mark.parametrize("program, base, flags, message", CASES)
def test_a_mistake_gets_one_line(places, tmp_path, monkeypatch, capfd, program, base, flags, message):
    before, after = ([flag.format(**places) for flag in shlex.split(text)] for text in (base, flags))
    if program.startswith(("train", "examples")):
        before += ["--output_dir", str(tmp_path / "run")]
    monkeypatch.chdir(tmp_path)
    said = programs.run_here(monkeypatch, program, *before, *after)
    finish_log()
    assert isinstance(said, str) and said.startswith(f"{Path(program).name}: error: "), said
    assert message.format(**places) in said and "\n" not in said and "Traceback" not in said, said
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("text, message", [
    (b"one\ntw\xff\n", "standard input:2: not valid UTF-8 (byte 0xff)"),
    ("one\n".encode("utf-16-le"), "standard input:1: a NUL character"),
    (b"one\ntwo\rthree\n", "standard input:2: a carriage return")])
def test_text_that_is_none_gets_one_line(places, monkeypatch, text, message):
    said = programs.run_here(monkeypatch, "translate.py", "--model", places["translation"], stdin=text)
    assert said.startswith(f"translate.py: error: {message}") and "\n" not in said


@pytest.mark.parametrize("megabytes", [300, 500, 600, 700, 1500])
def test_a_limit_of_memory_ends_a_program_at_once_or_not_at_all(places, megabytes):
    """MXNet alone needs some 600 MB of addresses, and where it gets no more it may crash by itself."""
    size = megabytes * 2 ** 20
    done = programs.run("translate.py", "--model", places["translation"], "--input", places["text"],
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)))
    if done.returncode == 0:
        assert megabytes > 300 and done.stdout.count("\n") == 8
    else:
        assert done.stdout == "" and (done.returncode < 0 or done.stderr.startswith("translate.py: error: "))


def test_text_that_is_not_utf8_may_be_translated_all_the_same(places, monkeypatch, capfd):
    text = b"one\ntw\xff\n\xe4\nthree"
    flags = "--model", places["translation"], "--errors", "replace"
    assert programs.run_here(monkeypatch, "translate.py", *flags, stdin=text) == 0
    lines = capfd.readouterr().out.split("\n")
    assert len(lines) == 5 and lines[4] == ""


def test_blank_lines_are_translated_to_empty_ones(places, monkeypatch, capfd):
    text = "one\n\n \t\n\u00a0\n\u200b\ntwo\n".encode()
    assert programs.run_here(monkeypatch, "translate.py", "--model", places["translation"], stdin=text) == 0
    lines = capfd.readouterr().out.split("\n")
    assert len(lines) == 7 and lines[1:5] == [""] * 4 and lines[6] == ""


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_a_process_ends_with_status_1_and_that_line(program):
    done = programs.run(program, *shlex.split(PROGRAMS[program])[:1], "--nonsense", "1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{Path(program).name}: error: ") and done.stderr.count("\n") == 1
