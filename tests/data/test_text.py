"""Text in three splits."""
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp.data import Text, load_text, split_lines


@given(st.lists(st.text("abc \u2028", max_size=6), max_size=40), st.randoms())
def test_a_lines_split_depends_on_the_line_alone(lines, random):
    splits = split_lines(lines, share=0.3)
    assert sorted(line for split in splits for line in split) == sorted(lines)
    assert not any(set(a) & set(b) for a, b in ((splits[0], splits[1]), (splits[0], splits[2]), (splits[1], splits[2])))
    random.shuffle(lines)
    assert [sorted(split) for split in split_lines(lines, share=0.3)] == [sorted(split) for split in splits]


def test_shares_are_about_those_asked_for():
    train, valid, test = split_lines([str(i) for i in range(20_000)], share=0.1)
    assert abs(len(valid) - 2000) < 200 and abs(len(test) - 2000) < 200 and len(train) == 20_000 - len(valid + test)
    assert train == sorted(train, key=int)


def test_files_may_be_plain_or_gzipped_and_lose_blank_lines(tmp_path):
    (tmp_path / "train").write_text("a b\n\nc\n", encoding="utf-8")
    (tmp_path / "valid").write_text("d\n", encoding="utf-8")
    (tmp_path / "test.gz").write_bytes(gzip.compress("\u00e9\n".encode()))
    text = load_text(tmp_path / "train", tmp_path / "valid", tmp_path / "test.gz")
    assert text == Text("files", ["a b", "c"], ["d"], ["\u00e9"])


def test_a_split_without_lines_is_named():
    with pytest.raises(ValueError, match="mine: no line is left for the valid text"):
        Text("mine", ["a"], ["  "], ["b"])


def test_the_fingerprint_tells_texts_apart():
    prints = {Text("x", *lines).fingerprint for lines in ([["a"], ["b"], ["c"]], [["a", "b"], ["b"], ["c"]],
                                                          [["b"], ["a"], ["c"]])}
    assert len(prints) == 3 and Text("other", ["a"], ["b"], ["c"]).fingerprint in prints
