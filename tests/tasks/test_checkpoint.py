"""Checkpoints: complete or absent, found by kind, readable on other contexts."""
import pytest
from helpers.stacks import CONTEXTS, assert_same, lstm_chain, pipelined, random_values

from mxmp import Plan, Trainer
from mxmp.tasks import checkpoint


class Part:
    """Something that belongs to a model."""

    def save(self, folder):
        (folder / "part").write_text("a part")


@pytest.fixture
def saved(tmp_path):
    """A function that saves a checkpoint of some kind and step, and the values in it."""
    chain = lstm_chain()
    values = random_values(chain)
    with pipelined(chain, values, None, (2, 4), 1) as pipe:
        trainer = Trainer(pipe, "adam")

        def save(kind, step):
            return checkpoint.save(tmp_path, kind, step, pipe, trainer, {"progress": {"step": step}}, Part())

        yield save, values


def test_a_checkpoint_holds_its_parts(saved):
    save, _ = saved
    assert sorted(path.name for path in save("best", 3).iterdir()) == ["checkpoint.json", "model.params",
                                                                       "optimizer.params", "part"]


def test_a_newer_checkpoint_replaces_the_older_of_its_kind_only(tmp_path, saved):
    save, _ = saved
    for kind, step in (("best", 5), ("latest", 5), ("latest", 10)):
        save(kind, step)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best-00000005", "latest-00000010"]
    assert checkpoint.read(checkpoint.find(tmp_path, "latest"))["progress"] == {"step": 10}


def test_the_same_step_can_be_saved_again(tmp_path, saved):
    save, _ = saved
    save("latest", 5)
    assert save("latest", 5) == checkpoint.find(tmp_path, "latest")
    assert save("latest", 6) == checkpoint.find(tmp_path, "latest")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("step", [5, 10])
def test_a_death_before_the_last_rename_leaves_the_older_checkpoint_whole(tmp_path, saved, monkeypatch, step):
    save, _ = saved
    older = save("latest", 5)
    files = sorted(path.name for path in older.iterdir())
    monkeypatch.setattr(type(tmp_path), "rename", lambda *args: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        save("latest", step)
    assert checkpoint.find(tmp_path, "latest") == older and sorted(path.name for path in older.iterdir()) == files


def test_find_prefers_the_first_kind_and_takes_a_checkpoint_itself(tmp_path, saved):
    save, _ = saved
    assert checkpoint.find(tmp_path, "best", "latest") is None
    latest = save("latest", 5)
    assert checkpoint.find(tmp_path, "best", "latest") == latest == checkpoint.find(latest, "best")
    assert checkpoint.find(tmp_path, "best", "latest") != save("best", 3) == checkpoint.find(tmp_path, "best", "latest")


def test_a_death_while_saving_leaves_the_older_checkpoint(tmp_path, saved, monkeypatch):
    save, _ = saved
    save("latest", 5)
    monkeypatch.setattr(Part, "save", lambda *args: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save("latest", 10)
    assert checkpoint.find(tmp_path, "latest").name == "latest-00000005"


def test_a_damaged_description_is_named(tmp_path, saved):
    save, _ = saved
    path = save("best", 1)
    (path / "checkpoint.json").write_text("{")
    with pytest.raises(ValueError, match="cannot read the checkpoint"):
        checkpoint.read(path)


@pytest.mark.parametrize("counts", [(6,), (3, 3), (2, 1, 3)])
def test_a_chain_loads_onto_any_contexts(saved, counts):
    save, values = saved
    plan, chain = Plan(counts, CONTEXTS[:len(counts)]), lstm_chain()
    checkpoint.load_chain(save("best", 1), chain, plan)
    actual = {n: p.data(p.list_ctx()[0]).asnumpy() for n, p in chain._collect_params_with_prefix().items()}
    assert_same(actual, values, rtol=0, atol=0)
    assert {ctx for p in chain.collect_params().values() for ctx in p.list_ctx()} == set(plan.contexts)
