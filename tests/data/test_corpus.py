"""Sentence pairs and text in three splits."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp.data import Corpus, ParallelText, Text, is_blank, split_lines


def test_counts_pairs():
    assert len(ParallelText(["a", "b"], ["c", "d"])) == 2


def test_refuses_a_sentence_without_partner():
    with pytest.raises(ValueError, match="2 source sentences but 1 target"):
        ParallelText(["a", "b"], ["c"])


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


@pytest.mark.parametrize("line", ["", "  ", "\t", "\u00a0", "\u3000", "\u2009", "\x85", "\u2028", "\u200b", "\u2060",
                                  "\ufeff", "\u00ad", "\u200f", "\0", " \u200b\t"])
def test_a_line_that_shows_nothing_is_blank(line):
    assert is_blank(line) and not is_blank(line + "x") and not is_blank("\u0301" + line)


@pytest.mark.parametrize("line", [".", "-", "\u2581", "\ufffd", "\u0301", "\ue000", "語", "👧"])
def test_a_line_that_shows_something_is_not(line):
    assert not is_blank(line)


def test_a_split_without_lines_is_named():
    with pytest.raises(ValueError, match="own: no line is left for the valid text"):
        Text("own", ["a"], ["  ", "\u00a0", "\u200b"], ["b"])


def test_the_fingerprint_tells_texts_apart():
    prints = {Text("x", *lines).fingerprint for lines in ([["a"], ["b"], ["c"]], [["a", "b"], ["b"], ["c"]],
                                                          [["b"], ["a"], ["c"]])}
    assert len(prints) == 3 and Text("other", ["a"], ["b"], ["c"]).fingerprint in prints


def test_fingerprints_stay_as_they_are():
    """A run that was begun with them could not be resumed with others."""
    one, two, three = [ParallelText([src], [src * 2]) for src in "abc"]
    assert Corpus("x", "de", "en", one, two, three).fingerprint == "cd45543342558c95ffde65b7ad75bdf1"
    assert Text("x", ["a"], ["b"], ["\u00e9"]).fingerprint == "e5f27c7350eb5c04336ada55378cc8bb"
