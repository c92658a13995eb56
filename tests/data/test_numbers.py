import itertools

import pytest

from mxmp.data import NUMBERS_LANGUAGES, load_numbers
from mxmp.data.numbers import _spell

PAIRS = list(itertools.permutations(NUMBERS_LANGUAGES, 2))


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def corpus(request):
    return load_numbers(*request.param, num_train=2000, num_valid=100, num_test=100)


def test_has_the_sizes_asked_for(corpus):
    assert [len(split) for split in (corpus.train, corpus.valid, corpus.test)] == [2000, 100, 100]


def test_no_source_sentence_occurs_twice(corpus):
    sources = corpus.train.src + corpus.valid.src + corpus.test.src
    assert len(set(sources)) == len(sources)


def test_phrases_are_short(corpus):
    for split in (corpus.train, corpus.valid, corpus.test):
        assert all(0 < len(sentence.split()) <= 14 for sentence in split.src + split.tgt)


def test_plain_numbers_up_to_one_hundred_are_never_held_out(corpus):
    phrases = [(kind, value) for kind in ("cardinal", "ordinal") for value in range(1, 101)]
    basic = {_spell(phrase, corpus.src_lang) for phrase in phrases}
    assert not basic & set(corpus.valid.src + corpus.test.src)
    assert basic & set(corpus.train.src)


def test_the_seed_decides_everything():
    sizes = {"num_train": 50, "num_valid": 20, "num_test": 20}
    assert load_numbers(**sizes, seed=3) == load_numbers(**sizes, seed=3)
    assert load_numbers(**sizes, seed=3).train.src != load_numbers(**sizes, seed=4).train.src


def test_held_out_pairs_do_not_depend_on_the_training_size():
    small, large = [load_numbers(num_train=size, num_valid=20, num_test=20) for size in (50, 500)]
    assert (small.valid, small.test) == (large.valid, large.test)


@pytest.mark.parametrize("lang", NUMBERS_LANGUAGES)
def test_different_values_are_spelled_differently(lang):
    phrases = [(kind, value) for kind in ("cardinal", "ordinal") for value in range(1, 2200)]
    assert len({_spell(phrase, lang) for phrase in phrases}) == len(phrases)


@pytest.mark.parametrize("lang, phrase, text", [
    ("fr", ("ordinal", 200), "deux centième"),
    ("fr", ("ordinal", 80), "quatre-vingtième"),
    ("de", ("cardinal", 201_001), "zweihunderteintausendeins"),
    ("de", ("money", (101, 1)), "einhundertein Euro und ein Cent"),
    ("fr", ("money", (80, 21)), "quatre-vingts euros et vingt et un centimes"),
])
def test_spells_correctly(lang, phrase, text):
    assert _spell(phrase, lang) == text


@pytest.mark.parametrize("languages", [("en", "en"), ("en", "xx"), ("xx", "fr")])
def test_names_the_languages_there_are(languages):
    with pytest.raises(ValueError, match="two different languages of en, fr, de"):
        load_numbers(*languages)


@pytest.mark.parametrize("sizes", [{"num_train": 0}, {"num_test": -1}, {"num_train": 10 ** 6}])
def test_refuses_impossible_sizes(sizes):
    with pytest.raises(ValueError, match="at most 200000"):
        load_numbers(**sizes)
