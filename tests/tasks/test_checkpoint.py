"""Checkpoints: complete or absent, found by kind; `load_chain` is tested with the translator, which uses it."""
import pytest
from helpers.stacks import lstm_chain, pipelined, random_values

from mxmp import Trainer
from mxmp.tasks import checkpoint


class Task:
    """Something that has files of its own."""

    def save(self, folder):
        (folder / "own").write_text("its own")


@pytest.fixture
def save(tmp_path):
    """A function that saves a checkpoint of some kind and step."""
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), None, (2, 4), 1) as pipe:
        trainer = Trainer(pipe, "adam")

        def write(kind, step):
            return checkpoint.save(tmp_path, kind, step, pipe, trainer, {"model": {}, "progress": {"step": step}},
                                   Task())

        yield write


def test_a_checkpoint_holds_the_models_files_and_the_tasks(save):
    assert sorted(path.name for path in save("best", 3).iterdir()) == ["checkpoint.json", "model.params",
                                                                       "optimizer.params", "own"]


def test_a_newer_checkpoint_replaces_the_older_of_its_kind_only(tmp_path, save):
    for kind, step in (("best", 5), ("latest", 5), ("latest", 10)):
        save(kind, step)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best-00000005", "latest-00000010"]
    assert checkpoint.read(checkpoint.find(tmp_path, "latest"))["progress"] == {"step": 10}


def test_the_same_step_can_be_saved_again(tmp_path, save):
    save("latest", 5)
    assert save("latest", 5) == checkpoint.find(tmp_path, "latest")
    assert save("latest", 6) == checkpoint.find(tmp_path, "latest")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("step", [5, 10])
def test_a_death_before_the_last_rename_leaves_the_older_checkpoint_whole(tmp_path, save, monkeypatch, step):
    older = save("latest", 5)
    files = sorted(path.name for path in older.iterdir())
    monkeypatch.setattr(type(tmp_path), "rename", lambda *args: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        save("latest", step)
    assert checkpoint.find(tmp_path, "latest") == older and sorted(path.name for path in older.iterdir()) == files


def test_find_prefers_the_first_kind_and_takes_a_checkpoint_itself(tmp_path, save):
    assert checkpoint.find(tmp_path, "best", "latest") is None
    latest = save("latest", 5)
    assert checkpoint.find(tmp_path, "best", "latest") == latest == checkpoint.find(latest, "best")
    assert checkpoint.best(tmp_path) == latest != save("best", 3) == checkpoint.find(tmp_path, "best", "latest")
    assert checkpoint.best(tmp_path) == checkpoint.find(tmp_path, "best")


def test_a_folder_without_a_checkpoint_has_no_best_one(tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint; give the folder of a training run"):
        checkpoint.best(tmp_path)


def test_a_death_while_saving_leaves_the_older_checkpoint(tmp_path, save, monkeypatch):
    save("latest", 5)
    monkeypatch.setattr(Task, "save", lambda *args: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save("latest", 10)
    assert checkpoint.find(tmp_path, "latest").name == "latest-00000005"


def test_a_damaged_description_is_named(tmp_path, save):
    path = save("best", 1)
    (path / "checkpoint.json").write_text("{")
    with pytest.raises(ValueError, match="cannot read the checkpoint"):
        checkpoint.read(path)
