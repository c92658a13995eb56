"""The set-up scripts, on a copy of scripts/ with a PATH of nothing but fakes: no network, no installs."""
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ["bash", "cat", "cksum", "cp", "dirname", "grep", "mkdir", "rm"]

# Notes every `-m` call and every script in $LOG. As `-m venv` it copies itself, so the .venv is a fake too.
PYTHON = """#!/bin/sh
case $1 in
    --version) echo "Python {version}.1" ;;
    -c) case $2 in
            *version_info*) {probe} ;;
            *ensurepip*) exit {no_venv} ;;
            *find_spec*) test -e "$0.has-gluonnlp" ;;
            *"import mxnet"*) printf '%s' "$MXNET_ERROR" >&2; test -z "$MXNET_ERROR" ;;
        esac ;;
    -m) echo "$*" >>"$LOG"
        case "$*" in
            "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
            *install*) test -z "$PIP_FAILS" && : >"$0.has-gluonnlp" ;;
        esac ;;
    *) echo "$*" >>"$LOG" ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >>"$LOG"
test -z "$UV_FAILS" || exit 1
if [ "$1" = venv ]; then
    mkdir -p .venv/bin && cp {python} .venv/bin/python && echo "uv = 0.9" >.venv/pyvenv.cfg
fi
"""


class Clone:
    """A fresh clone with its scripts, in a folder with a space in its name, and a PATH of its own."""

    def __init__(self, tmp_path):
        self.root, self.bin, self.log = tmp_path / "a clone", tmp_path / "bin", tmp_path / "log"
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("*.py*"))
        (self.root / "setup.py").write_text("# version 1\n")
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))

    def program(self, name, text="#!/bin/sh\n"):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def python(self, name, version="3.11", has_venv=True):
        # A wrong version is judged by the script's own probe, under a real Python that claims that version.
        claim = "import sys; sys.version_info = ({}, {}, 1)\n".format(*version.split("."))
        probe = f'exec {shlex.quote(sys.executable)} -c "{claim}$2"'
        probe = "echo ok" if version in ("3.8", "3.9", "3.10", "3.11") else probe
        self.program(name, PYTHON.format(version=version, probe=probe, no_venv=int(not has_venv)))

    def run(self, *args, script="setup_env.sh", **env):
        env = {"PATH": str(self.bin), "LOG": str(self.log), **env}
        command = [str(self.bin / "bash"), str(self.root / "scripts" / script), *args]
        return subprocess.run(command, env=env, cwd=os.sep, capture_output=True, text=True, timeout=60)

    def calls(self):
        """What the fakes were called with since the last time."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return [line.replace(" --quiet --quiet --disable-pip-version-check", "") for line in lines]

    def stamps(self):
        return sorted(path.name for path in self.root.glob(".venv/*.stamp"))


@pytest.fixture
def bare(tmp_path):
    return Clone(tmp_path)


@pytest.fixture
def clone(bare):
    bare.program("gcc")
    bare.python("python3.11")
    return bare


def only_line(result):
    assert result.returncode == 1
    assert result.stderr.startswith("mxmp: ") and result.stderr.count("\n") == 1
    return result.stderr


def ok(result):
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


VENV = "-m venv --clear .venv"
PIP = "-m pip install pip>=23.1"
CPU = "-m pip install --editable .[cpu]"
TEST = "-m pip install --editable .[test]"


def test_no_python(bare):
    bare.program("gcc")
    assert "install Python 3.8 to 3.11" in only_line(bare.run())
    assert not (bare.root / ".venv").exists()


def test_unusable_pythons_are_named(bare):
    bare.program("gcc")
    bare.program("python3.11", "#!/bin/sh\necho 'shim: command not found' >&2\nexit 127\n")
    bare.python("python3.10", "3.10", has_venv=False)
    bare.python("python3", "3.12")
    bare.python("python", "2.7")
    line = only_line(bare.run())
    assert "(python3.10 has no venv module, python3 is 3.12, python is 2.7)" in line
    assert "install Python 3.8 to 3.11" in line


def test_a_later_candidate_is_used(bare):
    bare.program("gcc")
    bare.python("python3", "3.13")
    bare.python("python", "3.8")
    assert "creating .venv with Python 3.8.1 ..." in ok(bare.run())


def test_the_python_asked_for_is_the_only_one_tried(clone):
    clone.python("python3", "3.12")
    assert "no usable Python in MXMP_PYTHON (python3 is 3.12)" in only_line(clone.run(MXMP_PYTHON="python3"))


@pytest.mark.parametrize("stub", [False, True])
def test_no_compiler(bare, stub):
    bare.python("python3.11")
    if stub:
        bare.program("cc", "#!/bin/sh\nexit 1\n")
    line = only_line(bare.run())
    assert "no C compiler" in line and "build-essential" in line
    assert bare.calls() == []


def test_second_run_skips_and_test_extra_is_added(clone):
    assert "installing mxmp[cpu]" in ok(clone.run())
    assert clone.calls() == [VENV, PIP, CPU]
    assert ok(clone.run()) == "mxmp: .venv is up to date\n"
    assert clone.calls() == []
    ok(clone.run("test"))
    assert clone.calls() == [PIP, TEST]
    assert ok(clone.run("test")) == ok(clone.run()) == "mxmp: .venv is up to date\n"


def test_changed_setup_py_installs_again_without_compiler(clone):
    ok(clone.run())
    clone.calls()
    (clone.root / "setup.py").write_text("# version 2\n")
    (clone.bin / "gcc").unlink()
    ok(clone.run())
    assert clone.calls() == [PIP, CPU]


def test_failed_install_is_tried_again(clone):
    assert "the next run tries again" in only_line(clone.run(PIP_FAILS="1"))
    assert clone.stamps() == []
    clone.calls()
    ok(clone.run())
    assert clone.calls() == [PIP, CPU]
    assert clone.stamps() == ["mxmp-cpu.stamp"]


def test_half_made_venv_is_made_again(clone):
    ok(clone.run())
    clone.calls()
    (clone.root / ".venv-unfinished").touch()
    ok(clone.run())
    assert clone.calls() == [VENV, PIP, CPU]
    assert not (clone.root / ".venv-unfinished").exists()


@pytest.mark.parametrize("library, hint", [("libgomp.so.1", "libgomp1"), ("libcudart.so.11.0", "CUDA 11.2")])
def test_mxnet_that_does_not_load(clone, library, hint):
    error = f"Traceback (most recent call last):\nOSError: {library}: cannot open shared object file"
    line = only_line(clone.run(MXNET_ERROR=error))
    assert f"does not load: OSError: {library}" in line and hint in line
    assert clone.stamps() == []


def test_device_extras_replace_each_other(clone):
    ok(clone.run())
    clone.calls()
    ok(clone.run(MXMP_EXTRA="cu112"))
    assert clone.calls() == ["-m pip uninstall --yes mxnet", PIP, CPU.replace("cpu", "cu112")]
    assert clone.stamps() == ["mxmp-cu112.stamp"]


def test_unknown_extras(clone):
    assert "it must be cpu or cu112" in only_line(clone.run(MXMP_EXTRA="gpu"))
    assert "no extra 'tests'" in only_line(clone.run("tests"))


def test_uv_is_used_where_installed(clone):
    clone.program("uv", UV.format(python=shlex.quote(str(clone.bin / "python3.11"))))
    ok(clone.run())
    assert clone.calls() == [
        "uv venv --quiet --python 3.11 --seed .venv",
        "uv pip install --quiet --python .venv/bin/python --editable .[cpu]",
    ]
    ok(clone.run())
    assert clone.calls() == []


def test_without_uvs_python_the_search_goes_on(clone):
    clone.program("uv", UV.format(python="none"))
    assert "uv could not make it" in ok(clone.run(UV_FAILS="1"))
    assert clone.calls()[1:] == [VENV, PIP, CPU]


def test_quickstart_runs_the_main_job(clone):
    ok(clone.run("--epochs", "1 2", script="quickstart.sh"))
    job = "scripts/train_translation.py --dataset numbers --contexts cpu(0-1)"
    assert clone.calls() == [VENV, PIP, CPU, job + " --epochs 1 2"]


def test_test_script_runs_all_checks(clone):
    ok(clone.run("-k", "lstm", script="test.sh"))
    checks = ["-m ruff check .", "-m mypy", "-m mkdocs build --strict --quiet", "-m pytest -k lstm"]
    assert clone.calls() == [VENV, PIP, CPU.replace("cpu", "cpu,test,docs"), *checks]
