"""Disks that take no more: the checkpoint that was there stays, nothing half-written does, and one line says why."""

import shutil
import subprocess

import mxnet as mx
import numpy as np
import pytest
from helpers import programs
from helpers.disks import failing, small_files
from helpers.runs import arrays, progress
from helpers.stacks import lstm_chain, pipelined, random_values

from mxmp import Trainer
from mxmp.tasks import checkpoint
from mxmp.writing import write_arrays

FILES = ["checkpoint.json", "model.params", "optimizer.params", "own"]  # and a manifest


class Task:
    """Something that has a file of its own."""

    def save(self, folder):
        write_arrays(folder / "own", {"array": mx.nd.arange(9)})


@pytest.fixture
def trained():
    """A pipeline and its trainer, and a function that saves them as the latest of a step."""
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), mx.gluon.loss.L2Loss(), (2, 4), 2) as pipe:
        trainer = Trainer(pipe, "adam")

        def train_and_save(folder, step):
            pipe.forward_backward(mx.nd.ones((4, 3, 5)), mx.nd.zeros((4, 3, 3)))
            trainer.step(4)
            return checkpoint.save(folder, "latest", step, pipe, trainer,
                                   checkpoint.Description({}, {}, "text", {"step": step}), Task())

        yield pipe, trainer, train_and_save


def check_whole(folder, pipe, trainer):
    """The newest checkpoint loads, and beside it is nothing but other whole ones; returns its step."""
    for path in folder.iterdir():
        assert set(FILES) <= {file.name for file in path.iterdir()}
        assert not [file for file in path.iterdir() if ".part." in file.name]
    with checkpoint.newest(folder, "latest") as newest:
        pipe.load_parameters(str(newest / "model.params"))
        trainer.load_states(str(newest / "optimizer.params"))
        assert len(mx.nd.load(str(newest / "own"))["array"]) == 9
        return checkpoint.read(newest).progress["step"]


def test_whichever_write_fails_a_whole_checkpoint_is_there_and_nothing_else(tmp_path, monkeypatch, trained):
    pipe, trainer, save = trained
    save(tmp_path, 5)
    with failing(monkeypatch, -1) as calls:
        save(tmp_path, 6)
    total = calls[0]
    assert total > 15
    for count in range(total):
        folder = tmp_path / str(count)
        save(folder, 5)
        with failing(monkeypatch, count) as calls, pytest.raises(OSError, match="No space left on device"):
            save(folder, 6)
        assert calls[0] == count and check_whole(folder, pipe, trainer) == (6 if len(list(folder.iterdir())) > 1 else 5)
        save(folder, 7)
        assert check_whole(folder, pipe, trainer) == 7 and len(list(folder.iterdir())) == 1


def test_a_file_that_may_not_grow_is_named_and_the_older_checkpoint_stays(tmp_path, trained):
    pipe, trainer, save = trained
    sizes = {path.name: path.stat().st_size for path in save(tmp_path, 5).iterdir() if path.name in FILES}
    for name in ("model.params", "optimizer.params"):
        for short in (1, 7, 8, 9, 200, 1000, sizes[name] - 1):
            with small_files(sizes[name] - short), pytest.raises(OSError) as raised:
                save(tmp_path, 6)
            assert "params: cannot be written (File too large)" in str(raised.value)
            assert str(tmp_path) in str(raised.value)
            assert check_whole(tmp_path, pipe, trainer) == 5 and len(list(tmp_path.iterdir())) == 1


def in_a_namespace(script, *arguments):
    """A finished shell script that may mount; skips the test with the reason where that is not permitted."""
    unshared = ["unshare", "--map-root-user", "--mount", "bash", "-c"]
    allowed = subprocess.run([*unshared, "mount -t tmpfs none /mnt"], capture_output=True, text=True)
    if allowed.returncode:
        pytest.skip(f"no mount in a namespace of its own: {allowed.stderr.strip()}")
    return subprocess.run([*unshared, script, "bash", *map(str, arguments)], capture_output=True, text=True,
                          timeout=300)


_RUN = """
mount -t tmpfs -o size="$1" none "$2" || exit 99
"${@:4}" --output_dir "$2/run" >"$3/out" 2>"$3/err"; echo $? >"$3/status"
ls -A "$2/run" "$2"/run/*/ >"$3/left"
mount -o remount,size=50m "$2"
"${@:4}" --output_dir "$2/run" --resume >"$3/out" 2>"$3/again"; echo $? >>"$3/status"
cp -r "$2/run" "$3/run"
"""


@pytest.mark.long
@pytest.mark.parametrize("room", [1.5, 2.5])
def test_a_run_on_a_full_disk_says_so_in_one_line_and_goes_on_once_there_is_room(tmp_path, translation_flags,
                                                                                 translation_run, room):
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    kept.mkdir()
    latest, = translation_run.glob("latest-*")
    size = sum(-(-path.stat().st_size // 4096) * 4096 for path in latest.iterdir())
    done = in_a_namespace(_RUN, int(room * size), disk, kept,
                          *programs.command("train_translation.py", *translation_flags))
    error = (kept / "err").read_text()
    assert (kept / "status").read_text() == "1\n0\n", error + done.stderr + (kept / "again").read_text()
    assert error.startswith(f"train_translation.py: error: {disk}/run/") and error.count("\n") == 1
    assert "cannot be written (No space left on device)" in error
    left = (kept / "left").read_text()
    assert "latest-" in left and "partial" not in left and ".part." not in left
    for kind, name in (("latest", "model.params"), ("latest", "optimizer.params"), ("best", "model.params")):
        ours, theirs = arrays(kept / "run", kind, name), arrays(translation_run, kind, name)
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{key} in {kind}")
    assert progress(kept / "run")["valid"] == progress(translation_run)["valid"]


def test_a_folder_that_takes_nothing_more_is_named(tmp_path, translation_flags):
    """A folder that vanished or may only be read; root may write to the latter all the same."""
    script = """
mount -t tmpfs none "$1" && mkdir "$1/run" && mount -o remount,ro "$1" || exit 99
"${@:2}" --output_dir "$1/run"
"""
    done = in_a_namespace(script, tmp_path, *programs.command("train_translation.py", *translation_flags))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("train_translation.py: error: ") and f"{tmp_path}/run" in done.stderr
    assert "Read-only file system" in done.stderr


def test_a_folder_that_vanishes_is_named(tmp_path, trained):
    _, _, save = trained
    aside = f"{tmp_path}/run/.mxmp-partial-[0-9a-f]+/model.params"
    with pytest.raises(OSError, match=f"{aside}: cannot be written \\(No such file"):
        trained[1].save_states = lambda path: None
        trained[0].save_parameters, inner = (lambda path: (shutil.rmtree(tmp_path / "run"), inner(path))), \
            trained[0].save_parameters
        save(tmp_path / "run", 1)
