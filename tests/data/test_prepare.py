import dataclasses
import logging
from pathlib import Path

import pytest

from mxmp.data import BatchLoader, Corpus, ParallelText, load_multi30k, load_numbers, prepare

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "multi30k"


@pytest.fixture
def corpus():
    train = ParallelText(["ein hund", "", "ein hund " * 30, "eine katze", " "],
                         ["a dog", "x", "a dog", "a cat", ""])
    held_out = ParallelText(["", "ein hund " * 30], ["a dog", ""])
    return Corpus("tiny", "de", "en", train, held_out, held_out)


def make(corpus, **options):
    return prepare(corpus, **{"vocab_size": 40, "max_length": 30, **options})


def same(one, other):
    return (one.train, one.valid, one.test, one.dropped, one.subwords.models) == (
        other.train, other.valid, other.test, other.dropped, other.subwords.models)


def test_drops_and_counts_bad_training_pairs_only(corpus, caplog):
    caplog.set_level(logging.INFO)
    prepared = make(corpus)
    assert [prepared.subwords.decode_tgt(tgt) for _, tgt in prepared.train] == ["a dog", "a cat"]
    assert prepared.dropped == {"empty": 2, "too_long": 1}
    assert "2 empty, 1 with more than 30 subwords" in caplog.text
    assert len(prepared.valid) == len(prepared.test) == 2
    assert prepared.valid[0][0] == [] and len(prepared.valid[1][0]) > 30
    assert prepared.corpus is corpus


@pytest.mark.parametrize("blank", ["\t", "\u00a0", "\u3000", "\u200b", "\ufeff"])
def test_a_line_of_other_spaces_is_as_an_empty_one(corpus, blank):
    def with_blanks(text):
        return ParallelText(*([blank if not line.strip() else line for line in side] for side in (text.src, text.tgt)))

    spaced = Corpus("tiny", "de", "en", *map(with_blanks, (corpus.train, corpus.valid, corpus.test)))
    assert same(make(spaced), make(corpus))


def test_vocabularies_may_be_separate(corpus):
    subwords = make(corpus, joint=False).subwords
    assert not subwords.joint and "katze" not in "".join(subwords.tgt_vocab.idx_to_token)


@pytest.mark.parametrize("joint", [True, False])
def test_the_cache_gives_the_same_again_without_work(corpus, tmp_path, monkeypatch, joint):
    first = make(corpus, joint=joint, cache_dir=tmp_path)
    monkeypatch.setattr("mxmp.data.subwords._train_model", None)
    second = make(corpus, joint=joint, cache_dir=tmp_path)
    assert same(first, second)
    assert same(first, make(corpus, joint=joint, cache_dir=tmp_path))
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


@pytest.mark.parametrize("change", [{"vocab_size": 39}, {"joint": False}, {"max_length": 29}])
def test_other_options_make_another_entry(corpus, tmp_path, change):
    make(corpus, cache_dir=tmp_path)
    assert same(make(corpus, cache_dir=tmp_path, **change), make(corpus, **change))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize("side", ["src", "tgt"])
def test_other_text_makes_another_entry(corpus, tmp_path, split, side):
    make(corpus, cache_dir=tmp_path)
    text = getattr(corpus, split)
    changed_text = dataclasses.replace(text, **{side: ["eine andere"] + getattr(text, side)[1:]})
    changed = dataclasses.replace(corpus, **{split: changed_text})
    assert same(make(changed, cache_dir=tmp_path), make(changed))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: b"no archive", lambda data: data[:len(data) // 2],
    lambda data: data[:len(data) // 3] + b"????" + data[len(data) // 3 + 4:]])
def test_a_damaged_entry_is_made_anew(corpus, tmp_path, caplog, damage):
    first = make(corpus, cache_dir=tmp_path)
    [path] = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert same(make(corpus, cache_dir=tmp_path), first)
    assert "damaged cache entry" in caplog.text
    caplog.clear()
    assert same(make(corpus, cache_dir=tmp_path), first)
    assert "damaged" not in caplog.text


def test_says_when_nothing_is_left_to_train_on(corpus):
    with pytest.raises(ValueError, match="none of 5 training pairs has at most max_length=0"):
        make(corpus, max_length=0)


def test_generated_numbers_need_few_subwords_each():
    prepared = prepare(load_numbers(num_train=2000, num_valid=50, num_test=50), vocab_size=300)
    assert prepared.dropped == {"empty": 0, "too_long": 0}
    assert max(len(ids) for pair in prepared.train + prepared.test for ids in pair) < 40


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/multi30k beside the repository")
def test_multi30k_is_padded_by_less_than_a_tenth():
    prepared = prepare(load_multi30k(data_dir=REAL))
    assert len(prepared.train) == 29000
    assert BatchLoader(prepared.train, 64).padding_share < 0.08
    assert BatchLoader(prepared.train, 128).padding_share < 0.10
