"""Manifests: every change of a file is seen, and named."""
import hashlib
import json
import random

import pytest

from mxmp.tasks import manifest


@pytest.fixture
def folder(tmp_path):
    """A folder with a manifest of two files."""
    (tmp_path / "model").write_bytes(random.Random(1).randbytes(3000))
    (tmp_path / "text").write_text("text")
    manifest.write(tmp_path)
    return tmp_path


def test_a_manifest_has_each_files_size_and_sha256(folder):
    assert json.loads((folder / "manifest.json").read_text()) == {
        name: {"size": size, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        for name, size in (("model", 3000), ("text", 4))}
    assert manifest.fault(folder) is None
    manifest.write(folder)  # once more: it does not describe itself
    assert manifest.fault(folder) is None


def test_a_file_larger_than_what_is_read_at_once_is_read_whole(folder):
    data = bytearray(2 * 1024 ** 2 + 7)
    (folder / "large").write_bytes(data)
    manifest.write(folder)
    assert manifest.fault(folder) is None
    data[-1] = 1
    (folder / "large").write_bytes(data)
    assert manifest.fault(folder) == "large has other content than was saved"


def test_every_flipped_bit_is_seen(folder):
    data = (folder / "model").read_bytes()
    for bit in [*range(0, 8 * len(data), 97), 8 * len(data) - 1]:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        (folder / "model").write_bytes(flipped)
        assert manifest.fault(folder) == "model has other content than was saved", bit


def test_every_flipped_bit_of_the_manifest_is_seen_unless_it_is_a_space(folder):
    path = folder / "manifest.json"
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert manifest.fault(folder) or data[bit // 8:bit // 8 + 1].isspace(), bit


@pytest.mark.parametrize("change, message", [
    (lambda f: (f / "model").unlink(), "model is missing"),
    (lambda f: (f / "model").write_bytes(b""), "model is truncated: 0 of 3000 bytes"),
    (lambda f: (f / "model").write_bytes(b"1" * 2999), "model is truncated: 2999 of 3000 bytes"),
    (lambda f: (f / "model").write_bytes(b"1" * 3001), "model is too long: 3001 of 3000 bytes"),
    (lambda f: (f / "text").write_text("Text"), "text has other content than was saved"),
    (lambda f: (f / "manifest.json").unlink(), "manifest.json is missing"),
    (lambda f: ((f / "manifest.json").unlink(), (f / "manifest.json").mkdir()),
     "manifest.json cannot be read (Is a directory)"),
    *[(lambda f, text=text: (f / "manifest.json").write_text(text), "manifest.json is damaged")
      for text in ("", "[]", "{", '{"model": 3}', '{"model": {"size": "3000", "sha256": ""}}',
                   '{"model": {"size": 3000}}', "[" * 100000)]])
def test_what_is_wrong_is_named(folder, change, message):
    change(folder)
    assert manifest.fault(folder) == message
