"""Checkpoints: complete or absent, found by their exact names; `load_chain` is tested with the translator, which uses
it."""
import json
import shutil
import sys
import threading
from pathlib import Path

import pytest
from helpers.stacks import lstm_chain, pipelined, random_values

from mxmp import Trainer
from mxmp.tasks import checkpoint, manifest
from mxmp.tasks.checkpoint import Description
from mxmp.tasks.progress import Progress
from mxmp.tasks.translation.model import ModelOptions


class Task:
    """Something that has files of its own."""

    def save(self, folder):
        (folder / "own").write_text("its own")


@pytest.fixture(scope="module")
def trained():
    """A pipeline and its trainer."""
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), None, (2, 4), 1) as pipe:
        yield pipe, Trainer(pipe, "adam")


@pytest.fixture
def save(tmp_path, trained):
    """A function that saves a checkpoint of some kind and step."""
    def write(kind, step):
        return checkpoint.save(tmp_path, kind, step, *trained, Description({}, {}, "text", {"step": step}), Task())
    return write


def find(folder, *kinds):
    with checkpoint.newest(folder, *kinds) as path:
        return path


def best(folder):
    with checkpoint.best(folder) as path:
        return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_holds_the_models_files_the_tasks_and_a_manifest_of_them(save):
    path = save("best", 3)
    assert names(path) == ["checkpoint.json", "manifest.json", "model.params", "optimizer.params", "own"]
    assert set(json.loads((path / "manifest.json").read_text())) == set(names(path)) - {"manifest.json"}


def test_a_newer_checkpoint_replaces_the_older_of_its_kind_only(tmp_path, save):
    for kind, step in (("best", 5), ("latest", 5), ("latest", 10)):
        save(kind, step)
    assert names(tmp_path) == ["best-00000005", "latest-00000010"]
    assert checkpoint.read(find(tmp_path, "latest")).progress == {"step": 10}


def test_the_same_step_can_be_saved_again(tmp_path, save):
    save("latest", 5)
    assert save("latest", 5) == find(tmp_path, "latest")
    assert save("latest", 6) == find(tmp_path, "latest")
    assert len(list(tmp_path.iterdir())) == 1


def test_the_newest_is_that_of_the_highest_numbers(tmp_path, save):
    written = save("latest", 5)
    for name in ("latest-00000005-2", "latest-00000005-10", "latest-123456789", "latest-99999999"):
        shutil.copytree(written, tmp_path / name)
    order = []
    while find(tmp_path, "latest"):
        order.append(find(tmp_path, "latest").name)
        shutil.rmtree(tmp_path / order[-1])
    assert order == ["latest-123456789", "latest-99999999", "latest-00000005-10", "latest-00000005-2",
                     "latest-00000005"]


@pytest.mark.parametrize("step", [5, 10])
def test_a_failure_before_the_last_rename_leaves_the_older_checkpoint_and_nothing_else(tmp_path, save, monkeypatch,
                                                                                       step):
    older = save("latest", 5)
    files = names(older)
    monkeypatch.setattr(type(tmp_path), "rename", lambda *args: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        save("latest", step)
    assert find(tmp_path, "latest") == older and names(older) == files and names(tmp_path) == [older.name]


def test_what_a_person_put_there_is_neither_read_nor_chosen_nor_renamed_nor_removed(tmp_path, save):
    written = save("latest", 5)
    for name in ("latest-old", "latest-00000021-mine", "best-keep-this", "latest-21", "latest-0000021x", "partial",
                 "latest-00000021 ", "Latest-00000021", "best-00000001.bak", ".mxmp-partial-mine"):
        shutil.copytree(written, tmp_path / name)
    (tmp_path / "latest-samples.txt").write_text("samples")
    (tmp_path / "latest-00000022").write_text("a file")
    (tmp_path / "latest-00000023").mkdir()  # nothing in it says that it is a checkpoint
    (tmp_path / "latest-00000024").symlink_to(tmp_path / "latest-old")
    (tmp_path / "latest-00000006").symlink_to(tmp_path / "nowhere")
    (tmp_path / ".mxmp-partial-0123abcd").symlink_to(tmp_path / "best-keep-this")
    (tmp_path / ".mxmp-partial-0123abce").write_text("a file")
    theirs = set(names(tmp_path)) - {"latest-00000005"}
    assert find(tmp_path, "best") is None and find(tmp_path, "latest") == written
    for kind, step in (("latest", 6), ("best", 6), ("latest", 7)):
        save(kind, step)
    assert set(names(tmp_path)) == theirs | {"latest-00000007", "best-00000006"}
    for name in theirs:
        assert not (tmp_path / name).is_dir() or manifest.fault(tmp_path / name) is None or name == "latest-00000023"


def test_what_a_process_that_died_left_goes_with_the_next_checkpoint(tmp_path, save):
    shutil.copytree(save("latest", 5), tmp_path / ".mxmp-partial-0123abcd")
    save("latest", 6)
    assert names(tmp_path) == ["latest-00000006"]


def test_a_death_while_the_older_one_is_removed_leaves_nothing_for_long(tmp_path, save, monkeypatch):
    save("latest", 5)

    def dying(path, **options):
        if path.exists():
            (path / "checkpoint.json").unlink()
            (path / "manifest.json").unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", dying)
    with pytest.raises(KeyboardInterrupt):
        save("latest", 6)
    monkeypatch.undo()
    assert find(tmp_path, "latest").name == "latest-00000006"
    save("latest", 7)
    assert names(tmp_path) == ["latest-00000007"]


def test_newest_prefers_the_first_kind_and_takes_a_checkpoint_itself(tmp_path, save):
    assert find(tmp_path, "best", "latest") is None
    latest = save("latest", 5)
    assert find(tmp_path, "best", "latest") == latest == find(latest, "best")
    assert best(tmp_path) == latest != save("best", 3) == find(tmp_path, "best", "latest")
    assert best(tmp_path) == find(tmp_path, "best")


def test_a_folder_without_a_checkpoint_has_no_best_one(tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint; give the folder of a training run"):
        best(tmp_path)


def test_a_failure_while_saving_leaves_the_older_checkpoint(tmp_path, save, monkeypatch):
    save("latest", 5)
    monkeypatch.setattr(Task, "save", lambda *args: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save("latest", 10)
    assert names(tmp_path) == ["latest-00000005"]


def test_a_checkpoint_that_reads_back_otherwise_leaves_the_older_one(tmp_path, save, monkeypatch):
    older = save("latest", 5)
    rename = Path.rename

    def damaging(self, target):
        (self / "model.params").write_bytes(b"other")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", damaging)
    with pytest.raises(RuntimeError, match="latest-00000010 was not written well: model.params is truncated: 5 of"):
        save("latest", 10)
    assert find(tmp_path, "latest") == older


def test_damage_is_named_and_the_newest_whole_checkpoint_is_used(tmp_path, save, caplog):
    oldest = shutil.copytree(save("latest", 5), tmp_path / "copy")
    newer = save("latest", 6)
    (newer / "model.params").write_bytes((newer / "model.params").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"latest-00000006: model.params is truncated: 100 of \d+ bytes$"):
        find(tmp_path, "latest")
    oldest.rename(tmp_path / "latest-00000005")
    assert find(tmp_path, "latest").name == "latest-00000005"
    line, = caplog.messages
    assert "latest-00000006: model.params is truncated" in line and line.endswith("latest-00000005")


def test_the_best_is_used_where_no_latest_is_whole_and_the_other_way_round(tmp_path, save, caplog):
    latest, other = save("latest", 6), save("best", 4)
    (latest / "own").unlink()
    assert find(tmp_path, "latest", "best") == other
    (other / "own").write_text("their own")
    with pytest.raises(ValueError) as error:
        best(tmp_path)
    assert f"{other}: own is too long: 9 of 7 bytes; " in str(error.value)
    assert f"{latest}: own is missing" in str(error.value)
    save("latest", 7)
    assert best(tmp_path).name == "latest-00000007" and len(caplog.messages) == 2


def test_what_is_read_from_stays_until_the_next_time(tmp_path, save):
    save("best", 5)
    with checkpoint.best(tmp_path) as used:
        save("best", 6)
        assert manifest.fault(used) is None and best(tmp_path).name == "best-00000006"
    save("best", 7)
    assert names(tmp_path) == ["best-00000007"]


def test_one_that_is_replaced_while_it_is_looked_at_gives_way_to_the_newer(tmp_path, save, monkeypatch, caplog):
    save("best", 5)
    save("latest", 5)
    fault = manifest.fault

    def meanwhile(path):
        monkeypatch.setattr(manifest, "fault", fault)
        shutil.rmtree(path)
        save("best", 6)
        return fault(path)

    monkeypatch.setattr(manifest, "fault", meanwhile)
    assert best(tmp_path).name == "best-00000006" and caplog.messages == []


def test_one_that_goes_while_names_are_listed_gives_way_to_the_newer(tmp_path, save, monkeypatch):
    save("best", 5)
    is_checkpoint = checkpoint._is_checkpoint

    def meanwhile(path):
        if path.name == "best-00000005":
            monkeypatch.setattr(checkpoint, "_is_checkpoint", is_checkpoint)
            save("best", 6)
        return is_checkpoint(path)

    monkeypatch.setattr(checkpoint, "_is_checkpoint", meanwhile)
    assert best(tmp_path).name == "best-00000006"


def test_reading_goes_on_while_a_run_goes_on(tmp_path, save):
    save("best", 0)
    stop, faults, used = threading.Event(), [], []

    def read():
        while not stop.is_set():
            try:
                with checkpoint.best(tmp_path) as path:
                    assert checkpoint.read(path).progress == {"step": int(path.name[5:])}
                    assert manifest.fault(path) is None
                    used.append(path.name)
            except (AssertionError, OSError, ValueError) as error:
                faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for step in range(1, 60):
            save("best", step)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert faults == [] and len(set(used)) > 10


@pytest.mark.parametrize("text, message", [
    ("{", "cannot read .*checkpoint.json: Expecting"), ("[]", "it holds no values by name"),
    ("[" * 100000, "cannot read .*checkpoint.json: "),
    ("{}", "its format is None, not 1; use the version of mxmp that wrote it"), ('{"format": 2}', "format is 2, not 1"),
    ('{"format": true}', "format is True, not 1"),
    ('{"format": 1}', "another program or version: it lacks fingerprint, model, options, progress"),
    ('{"format": 1, "model": {}, "options": {}, "fingerprint": "", "progress": {}, "more": 1}', "it knows more"),
    ('{"format": 1, "model": [], "options": {}, "fingerprint": "", "progress": {}}', r"has \[\] for model"),
    ('{"format": 1, "model": {}, "options": {}, "fingerprint": 3, "progress": {}}', "has 3 for fingerprint, .* str$")])
def test_a_description_of_another_form_is_named(save, text, message):
    path = save("best", 1)
    (path / "checkpoint.json").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        checkpoint.read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("changed, message", [
    ({"hidden_size": "6"}, "has '6' for hidden_size, which must be of the type int"),
    ({"hidden_size": True}, "has True for hidden_size"), ({"dropout": None}, "has None for dropout"),
    ({"hidden_size": 0}, "checkpoint.json: hidden_size must be at least 1, got 0"),
    ({"more": 1}, "holds a model of another kind")])
def test_impossible_sizes_are_named(tmp_path, trained, changed, message):
    sizes = {**vars(ModelOptions(9, 9, dropout=0)), **changed}
    path = checkpoint.save(tmp_path, "best", 1, *trained, Description(sizes, {}, "", {}), Task())
    with pytest.raises(ValueError, match=message):
        checkpoint.sizes(path, ModelOptions)


@pytest.mark.parametrize("epoch, batch, step", [(0, 0, 0), (0, 4, 4), (1, 0, 4), (2, 3, 11), (3, 0, 12)])
def test_progress_within_the_run_is_taken(epoch, batch, step):
    Progress(epoch, batch, step).check("a file", 4, 3)


@pytest.mark.parametrize("epoch, batch, step", [(-1, 4, 0), (0, 5, 5), (0, -1, -1), (1, 0, 3), (4, 0, 16), (0, 1, 9)])
def test_progress_outside_the_run_is_named(epoch, batch, step):
    with pytest.raises(ValueError, match=f"a file is at epoch {epoch}, batch {batch}, step {step}, where no run"):
        Progress(epoch, batch, step).check("a file", 4, 3)


def test_a_death_at_any_line_of_saving_leaves_a_whole_checkpoint(tmp_path, save):
    """What a process leaves that is killed at a line is what lies in the folder there."""
    older, moments = save("latest", 5), []
    expected = {path.name: path.read_bytes() for path in older.iterdir()}
    watched = {checkpoint.__file__, manifest.__file__}

    def trace(frame, event, argument):
        if event == "line":
            sys.settrace(None)
            moments.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            found = find(tmp_path, "latest")
            assert found.name in ("latest-00000005", "latest-00000006"), moments[-1]
            assert all((found / name).read_bytes() == data for name, data in expected.items()
                       if name.endswith("params")), moments[-1]
            assert checkpoint.read(found).progress == {"step": int(found.name[-1])}
            sys.settrace(trace)
        return trace if frame.f_code.co_filename in watched else None

    sys.settrace(trace)
    try:
        save("latest", 6)
    finally:
        sys.settrace(None)
    assert len(moments) > 100 and len(set(moments)) > 50, len(moments)
    assert names(tmp_path) == ["latest-00000006"]
