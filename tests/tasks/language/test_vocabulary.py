"""Words and subwords: what is a token, and round trips."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp.data import Text
from mxmp.tasks.language.options import Options
from mxmp.tasks.language.vocabulary import (
    Pieces,
    Words,
    count_words,
    encode,
    join_words,
    load_vocabulary,
    num_tokens,
    split_words,
    unknown_share,
)

LINES = ["I don't know, really.", "She knows (I think).", "I know 3.5% of it; it's enough!", "I know, I know."]


def test_words_are_split_and_joined_as_people_write():
    assert split_words(LINES[0]) == ["I", "don't", "know", ",", "really", "."]
    assert [join_words(split_words(line)) for line in LINES] == LINES


def test_a_word_is_known_whether_its_accents_are_composed_or_not():
    words = Words.learn(["un caf\u00e9 cher"], 1)
    assert words.encode(["un cafe\u0301"]) == words.encode(["un caf\u00e9"]) and words.unknown not in words.encode(
        ["cafe\u0301"])[0]
    assert split_words("cafe\u0301") == ["caf\u00e9"]


@pytest.mark.parametrize("blank", ["\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u00ad"])
@pytest.mark.parametrize("learn", [lambda: Words.learn(LINES, 1), lambda: Pieces.learn(LINES, 60)])
def test_a_blank_line_has_no_tokens(learn, blank):
    assert learn().encode([blank, "I"])[0] == []


@pytest.mark.parametrize("learn", [Words.learn, Pieces.learn])
def test_text_that_reads_as_a_special_token_is_text(learn):
    line = "the <unk> is </s> here <s> <pad>"
    vocabulary = learn([line], 1 if learn == Words.learn else 60)
    (ids,) = vocabulary.encode([line])
    assert not {vocabulary.end, vocabulary.unknown, *vocabulary.never_sampled} & set(ids)
    assert vocabulary.decode(ids).replace(" ", "") == line.replace(" ", "")


def test_rare_words_share_a_token():
    words = Words.learn(LINES, min_count=2)
    kept = {"I", "know", ",", ".", "<unk>", "</s>"}
    assert set(words.vocab.idx_to_token) == kept and len(words) == len(kept)
    (ids,) = words.encode(["I know really ."])
    assert [words.vocab.idx_to_token[i] for i in ids] == ["I", "know", "<unk>", "."]
    assert ids[2] == words.unknown and words.never_sampled == [words.unknown] and words.end not in ids


@pytest.mark.parametrize("learn", [lambda: Words.learn(LINES, 1), lambda: Pieces.learn(LINES, 60)])
def test_a_vocabulary_is_the_same_after_a_round_trip(learn, tmp_path):
    vocabulary = learn()
    vocabulary.save(tmp_path)
    loaded = load_vocabulary(tmp_path)
    assert type(loaded) is type(vocabulary) and len(loaded) == len(vocabulary)
    assert (loaded.end, loaded.unknown, loaded.never_sampled) == (
        vocabulary.end, vocabulary.unknown, vocabulary.never_sampled)
    ids = loaded.encode(LINES)
    assert ids == vocabulary.encode(LINES) and [loaded.decode(line) for line in ids] == LINES


@given(st.lists(st.sampled_from(["I", "know", "don't", "it", ",", "."]), max_size=8))
def test_known_words_survive_encoding(words):
    vocabulary = Words.learn(LINES, 1)
    (ids,) = vocabulary.encode([" ".join(words)])
    assert [vocabulary.vocab.idx_to_token[i] for i in ids] == words


def test_words_are_counted_with_an_end_for_each_line():
    assert count_words(LINES[:2]) == 6 + 1 + 7 + 1


def test_a_folder_without_either_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no subwords.model"):
        load_vocabulary(tmp_path)


@pytest.mark.parametrize("units, sizes", [("words", {"min_count": 2}), ("subwords", {"vocab_size": 20})])
def test_the_vocabulary_is_learned_from_the_training_text_alone(units, sizes):
    text = Text("x", ["a b", "a b", "ab ba"], ["b a"], ["a zz", "b"])
    encoded = encode(text, Options(units=units, **sizes))
    assert encoded.test_words == 5 and num_tokens(encoded.test) == sum(len(line) + 1 for line in encoded.test)
    assert 0 < unknown_share(encoded) < 0.5 and encoded.vocabulary.unknown not in encoded.valid[0]
