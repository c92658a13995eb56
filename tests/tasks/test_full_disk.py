"""Disks that take no more: the checkpoint that was there stays, nothing half-written does, and one line says why."""

import mxnet as mx
import pytest
from helpers.disks import failing, small_files
from helpers.stacks import lstm_chain, pipelined, random_values

from mxmp import Trainer
from mxmp.tasks import checkpoint
from mxmp.writing import write_arrays

FILES = ["checkpoint.json", "model.params", "optimizer.params", "own"]


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
            return checkpoint.save(folder, "latest", step, pipe, trainer, {"model": {}, "progress": {"step": step}},
                                   Task())

        yield pipe, trainer, train_and_save


def check_whole(folder, pipe, trainer):
    """The newest checkpoint loads, and beside it is nothing but other whole ones; returns its step."""
    newest = checkpoint.find(folder, "latest")
    for path in folder.iterdir():
        assert set(FILES) <= {file.name for file in path.iterdir()}
        assert not [file for file in path.iterdir() if ".part." in file.name]
    pipe.load_parameters(str(newest / "model.params"))
    trainer.load_states(str(newest / "optimizer.params"))
    assert len(mx.nd.load(str(newest / "own"))["array"]) == 9
    return checkpoint.read(newest)["progress"]["step"]


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
