"""Text files, one sentence a line."""
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp.data import Text, load_files, load_text, read_lines, read_pair


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


@given(lines=st.lists(st.text(st.characters(blacklist_characters="\r\n\ufeff", blacklist_categories=["Cs"])),
                      min_size=1))
def test_lines_end_at_newlines_only(tmp_path_factory, lines):
    path = write(tmp_path_factory.mktemp("lines") / "a", ("\n".join(lines) + "\n").encode())
    assert read_lines(path) == lines


@pytest.mark.parametrize("name, data, message", [
    ("bad", b"fine\n\nb\xe4d\n", r"bad:3: not valid UTF-8 \(byte 0xe4\)"),
    ("empty", b"", "empty: the file is empty"),
    ("empty.gz", b"", r"empty\.gz: the file is empty"),
])
def test_names_file_and_line_of_bad_text(tmp_path, name, data, message):
    with pytest.raises(ValueError, match=message) as error:
        read_lines(write(tmp_path / name, data))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [
    lambda data: b"no gzip at all", lambda data: data[:-12], lambda data: data[:30] + b"?" * 9 + data[39:]])
def test_names_a_broken_gzip_file(tmp_path, damage):
    path = tmp_path / "a.gz"
    path.write_bytes(damage(gzip.compress(bytes(range(128)) * 9)))
    with pytest.raises(ValueError, match=r"a\.gz: broken gzip file"):
        read_lines(path)


def test_names_a_missing_file(tmp_path):
    with pytest.raises(ValueError, match="nowhere: cannot be read .No such file"):
        read_lines(tmp_path / "nowhere")


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
