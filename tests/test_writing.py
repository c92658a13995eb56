"""Files that appear whole or not at all, and what their errors say."""
import errno
import os
import resource

import mxnet as mx
import pytest
from helpers.disks import small_files

from mxmp import writing
from mxmp.writing import check_writable, write_arrays, write_aside

ARRAYS = {"weight": mx.nd.arange(500), "größe/0": mx.nd.ones((3, 4), dtype="float16")}


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.png"
    path.write_text("old")
    with write_aside(path) as partial:
        partial.write_text("ne")
        assert path.read_text() == "old" and partial.parent == tmp_path and partial.suffix == ".png"
        partial.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("begun", [True, False])
def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path, begun):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="file: cannot be written \\(disk full\\)"), write_aside(path) as partial:
        if begun:
            partial.write_text("ne")
        raise OSError("disk full")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_the_block_ends(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append("renamed"), replace(old, new)))
    with write_aside(tmp_path / "file") as partial:
        partial.write_text("new")
    assert done == [str(partial), "renamed", str(tmp_path)]


@pytest.mark.parametrize("name, cause", [
    ("none/x", "No such file or directory"), ("file/x", "Not a directory"), ("folder", "Is a directory"),
    ("x" * 300, "File name too long")])
@pytest.mark.parametrize("write", [
    lambda path: write_arrays(path, ARRAYS), check_writable, lambda path: write_aside(path).__enter__()],
    ids=["arrays", "check", "begin"])
def test_a_place_that_takes_no_file_is_named_with_the_cause(tmp_path, name, cause, write):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as raised:
        write(tmp_path / name)
    assert str(raised.value) == f"{tmp_path / name}: cannot be written ({cause})"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_another_files_error_is_its_own(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), write_aside(tmp_path / "file"):
        open(tmp_path / "elsewhere")


def test_a_link_stays_a_link_and_a_mode_the_same(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    with write_aside(link) as partial:
        partial.write_text("new")
    assert link.is_symlink() and path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o600


def test_a_device_is_written_to_itself():
    with write_aside("/dev/null") as partial:
        partial.write_text("new")
    write_arrays("/dev/null", ARRAYS)
    check_writable("/dev/null")
    assert not os.path.isfile("/dev/null")


def test_a_check_leaves_a_file_as_it_is(tmp_path):
    check_writable(tmp_path / "new")
    (tmp_path / "old").write_text("old")
    check_writable(tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"] and (tmp_path / "old").read_text() == "old"


def test_arrays_that_do_not_fit_leave_the_old_file_whatever_is_missing(tmp_path):
    """MXNet reports success where only its last buffer, 4,096 bytes, did not fit."""
    path = tmp_path / "file"
    write_arrays(path, ARRAYS)
    old = path.read_bytes()
    for short in (*range(1, 64), *range(64, len(old), 97)):
        with pytest.raises(OSError) as raised, small_files(len(old) - short):
            write_arrays(path, {name: array + 1 for name, array in ARRAYS.items()})
        assert str(raised.value) == f"{path}: cannot be written (File too large)"
        assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    write_arrays(path, {name: array + 1 for name, array in ARRAYS.items()})
    assert mx.nd.load(str(path))["weight"][1].asscalar() == 2


def test_a_file_that_was_cut_short_without_a_cause_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(mx.nd, "save", lambda path, arrays: open(path, "wb").close())
    with pytest.raises(OSError, match="file: cannot be written \\(it was cut short\\)"):
        write_arrays(tmp_path / "file", ARRAYS)
    assert list(tmp_path.iterdir()) == []


def test_an_array_that_could_not_be_computed_leaves_the_old_file(tmp_path):
    write_arrays(tmp_path / "file", ARRAYS)
    old = (tmp_path / "file").read_bytes()
    wrong = mx.nd.random.normal(0, -1, 3)  # found while computing
    with pytest.raises(mx.MXNetError):
        write_arrays(tmp_path / "file", {**ARRAYS, "wrong": wrong})
    assert (tmp_path / "file").read_bytes() == old and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_whatever_fails_after_the_block_the_old_file_stays(tmp_path, monkeypatch, function):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(writing.os, function, fail)
    with pytest.raises(OSError, match="file: cannot be written \\(Input/output error\\)"), write_aside(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
