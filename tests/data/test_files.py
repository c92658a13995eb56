"""Text files, one sentence a line."""
import gzip
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp.data import Text, load_files, load_text, read_lines, read_pair, read_stream


def write(path, data):
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_reads_plain_and_gzipped(tmp_path, name):
    assert read_lines(write(tmp_path / name, "Größe\nçà\n".encode())) == ["Größe", "çà"]


def test_keeps_blank_lines_and_a_last_line_without_end(tmp_path):
    assert read_lines(write(tmp_path / "a", b"\n\nx\n\ny")) == ["", "", "x", "", "y"]


def test_cuts_windows_line_ends_and_byte_order_mark(tmp_path):
    assert read_lines(write(tmp_path / "a", b"\xef\xbb\xbfa\r\nb\r\n")) == ["a", "b"]


@pytest.mark.parametrize("data", [
    b"\xef\xbb\xbfa\nb\n\xef\xbb\xbfc\n", b"\xef\xbb\xbfa\nb\n\xef\xbb\xbf\xef\xbb\xbfc\n\xef\xbb\xbf"])
def test_cuts_the_byte_order_marks_of_files_put_behind_each_other(tmp_path, data):
    assert read_lines(write(tmp_path / "a", data)) == ["a", "b", "c"]


@given(lines=st.lists(st.text(st.characters(blacklist_characters="\0\r\n\ufeff", blacklist_categories=["Cs"])),
                      min_size=1))
def test_lines_end_at_newlines_only(tmp_path_factory, lines):
    path = write(tmp_path_factory.mktemp("lines") / "a", ("\n".join(lines) + "\n").encode())
    assert read_lines(path) == lines


@pytest.mark.parametrize("name, data, message", [
    ("bad", b"fine\n\nb\xe4d\n", r"bad:3: not valid UTF-8 \(byte 0xe4\)"),
    ("utf-16", "Grüße\nzwei\n".encode("utf-16"), r"utf-16:1: not valid UTF-8 \(byte 0xff\)"),
    ("utf-16-le", "one\ntwo\n".encode("utf-16-le"), "utf-16-le:1: a NUL character, as in UTF-16"),
    ("utf-16-be", "one\ntwo\n".encode("utf-16-be"), "utf-16-be:1: a NUL character, as in UTF-16"),
    ("cjk", "四\n五\n".encode("utf-16-be"), r"cjk:1: not valid UTF-8 \(byte 0xdb\)"),
    ("utf-32-le", "one\n".encode("utf-32-le"), "utf-32-le:1: a NUL character, as in UTF-16"),
    ("nul", b"a\nb\r\nc\0d\n", "nul:3: a NUL character"),
    ("mac", b"one\rtwo\rthree\r", "mac:1: a carriage return inside the line"),
    ("mixed", b"one\r\ntwo\nthree\rfour\r\n", "mixed:3: a carriage return inside the line"),
    ("doubled", b"one\r\r\n", "doubled:1: a carriage return inside the line"),
    ("gzip", gzip.compress(b"a\n"), r"gzip:1: not valid UTF-8 \(byte 0x8b\)"),
    ("empty", b"", "empty: the file is empty"),
    ("marked", b"\xef\xbb\xbf", "marked: the file is empty"),
    ("empty.gz", b"", r"empty\.gz: the file is empty"),
])
def test_names_file_and_line_of_bad_text(tmp_path, name, data, message):
    with pytest.raises(ValueError, match=message) as error:
        read_lines(write(tmp_path / name, data))
    assert "\n" not in str(error.value)


def test_what_is_not_utf8_may_be_replaced_and_ends_no_line(tmp_path):
    path = write(tmp_path / "a.gz", b"b\xe4d\n\xe4\n\xf0\x9f\n\xff\r\nfine\xe2\x82")
    assert read_lines(path, "replace") == ["b\ufffdd", "\ufffd", "\ufffd", "\ufffd", "fine\ufffd"]
    with pytest.raises(ValueError, match="a.gz:2: a NUL character"):
        read_lines(write(tmp_path / "a.gz", b"\xff\na\0\n"), "replace")


class Endless(io.RawIOBase):
    """Bytes without an end, of which ``taken`` were read."""

    def __init__(self, line):
        self.line, self.taken = line * (2 ** 16 // len(line)), 0

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(len(buffer), len(self.line))
        buffer[:size] = self.line[:size]
        self.taken += size
        return size


@pytest.mark.parametrize("line, message", [
    (b"\0", "x:1: more than 1048576 bytes in the line; one sentence a line"),
    (b"word ", "x:1: more than 1048576 bytes in the line"), (b"wo\n", r"x:\d+: more than 4194304 bytes, unpacked")])
def test_what_never_ends_is_refused_after_little_of_it(monkeypatch, line, message):
    monkeypatch.setattr("mxmp.data.files.MAX_BYTES", 2 ** 22)
    endless = Endless(line)
    with pytest.raises(ValueError, match=message):
        read_stream(io.BufferedReader(endless), "x")
    assert endless.taken <= 2 ** 23


def test_a_device_that_never_ends_is_refused():
    with pytest.raises(ValueError, match="^/dev/zero:1: more than 1048576 bytes in the line"):
        read_lines("/dev/zero")


@pytest.mark.parametrize("times, ending, message", [
    (2000, b"", "bomb.gz:1: more than 1048576 bytes in the line"),
    (2000, b"\n", "bomb.gz:17: more than 16777216 bytes, unpacked; give the text in parts")])
def test_a_gzip_file_that_unpacks_to_more_than_a_text_is_refused(tmp_path, monkeypatch, times, ending, message):
    monkeypatch.setattr("mxmp.data.files.MAX_BYTES", 2 ** 24)
    piece = gzip.compress(b"a" * (2 ** 20 - len(ending)) + ending)  # a gzip file may have many
    (tmp_path / "bomb.gz").write_bytes(piece * times)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            read_lines(tmp_path / "bomb.gz")
        assert tracemalloc.get_traced_memory()[1] < 2 ** 25
    finally:
        tracemalloc.stop()


def test_the_longest_line_that_is_read(tmp_path):
    lines = ["a" * (2 ** 20 - 1), "ä" * (2 ** 19 - 1)]
    assert read_lines(write(tmp_path / "a", "\n".join([*lines, ""]).encode())) == lines


@pytest.mark.parametrize("damage", [
    lambda data: b"no gzip at all", lambda data: data[:-12], lambda data: data[:30] + b"?" * 9 + data[39:]])
def test_names_a_broken_gzip_file(tmp_path, damage):
    path = tmp_path / "a.gz"
    path.write_bytes(damage(gzip.compress(bytes(range(128)) * 9)))
    with pytest.raises(ValueError, match=r"a\.gz: broken gzip file"):
        read_lines(path)


@pytest.mark.parametrize("name, reason", [
    ("nowhere", "No such file"), ("", "Is a directory"), ("a.gz", "Is a directory"), ("a.gz/b", "No such file"),
    ("file/b", "Not a directory")])
def test_names_what_is_no_file(tmp_path, name, reason):
    (tmp_path / "a.gz").mkdir()
    (tmp_path / "file").write_text("a\n")
    with pytest.raises(ValueError, match=f"{name}: cannot be read .{reason}"):
        read_lines(tmp_path / name)


def test_names_the_first_line_without_a_partner(tmp_path):
    src, tgt = write(tmp_path / "src", b"a\nb\nc\n"), write(tmp_path / "tgt", b"a\n")
    with pytest.raises(ValueError, match="src has 3 lines but .*tgt has 1: .*src:2 is the first"):
        read_pair(src, tgt)


def test_loads_six_files_as_a_corpus(tmp_path):
    paths = [write(tmp_path / name, f"{name} line\n".encode()) for name in ("a", "b", "c", "d", "e", "f.gz")]
    corpus = load_files(*paths, src_lang="xx")
    assert (corpus.src_lang, corpus.tgt_lang) == ("xx", "tgt")
    assert corpus.train.src == ["a line"]
    assert corpus.valid.tgt == ["d line"]
    assert corpus.test.tgt == ["f.gz line"]


def test_text_of_one_language_may_be_plain_or_gzipped_and_loses_blank_lines(tmp_path):
    paths = [write(tmp_path / name, data.encode()) for name, data in (
        ("train", "a b\n\nc\n"), ("valid", "d\n"), ("test.gz", "\u00e9\n"))]
    assert load_text(*paths) == Text("files", ["a b", "c"], ["d"], ["\u00e9"])
