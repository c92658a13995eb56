"""Ten thousand random and mutated lines, through all that reads text: one out for each in, in order."""
import re
import shlex
import unicodedata

import mxnet as mx
import numpy as np
import pytest
from helpers import fuzz, programs
from helpers.mistakes import RUN
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.data import ParallelText, Subwords, Text, is_blank, read_lines
from mxmp.tasks.language.options import Options
from mxmp.tasks.language.stream import TrainingStream, evaluation_segments
from mxmp.tasks.language.vocabulary import encode, split_words
from mxmp.tasks.translation import translator

NUMBER = 10_000


def write(path, lines):
    path.write_bytes(b"\n".join([*lines, b""]))
    return path


def alone(line):
    """A line by Python's own decoder, without byte order marks before it."""
    return line.decode("utf-8", "replace").lstrip("\ufeff")


def is_utf8(line):
    """Whether Python's own decoder takes a line."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@pytest.fixture(scope="module")
def lines():
    return fuzz.lines(NUMBER, seed=1)


@pytest.fixture(scope="module")
def texts():
    return [line.lstrip("\ufeff") for line in fuzz.valid_lines(NUMBER, seed=2)]


def test_every_line_is_read_as_it_is_alone(tmp_path, lines):
    assert 0.2 < sum(map(is_utf8, lines)) / NUMBER < 0.8
    assert read_lines(write(tmp_path / "text", lines), "replace") == list(map(alone, lines))


@settings(max_examples=1000, deadline=None)
@given(lines=st.lists(st.binary(max_size=20).map(lambda data: bytes(b for b in data if b not in fuzz.REFUSED)),
                      min_size=1, max_size=9).filter(any))
def test_any_bytes_are_read_as_they_are_alone(tmp_path_factory, lines):
    path = write(tmp_path_factory.mktemp("bytes") / "text", lines)
    assert read_lines(path, "replace") == list(map(alone, lines))
    wrong = [number for number, line in enumerate(lines, 1) if not is_utf8(line)]
    if wrong:
        with pytest.raises(ValueError, match=f"text:{wrong[0]}: not valid UTF-8"):
            read_lines(path)
    else:
        assert read_lines(path) == list(map(alone, lines))


def test_the_first_line_that_is_not_utf8_is_named(tmp_path, lines):
    good = [line for line in lines if is_utf8(line)]
    for place, bad in enumerate([line for line in lines if not is_utf8(line)][:300]):
        path = write(tmp_path / "text", [*good[:place], bad, *good[place:place + 20], b"\xff"])
        with pytest.raises(ValueError, match=f"text:{place + 1}: not valid UTF-8"):
            read_lines(path)


def test_subwords_give_every_line_back(texts):
    subwords = Subwords.train(ParallelText(texts, texts), 30_000)
    encoded = subwords.encode_tgt(texts)
    assert len(encoded) == NUMBER
    for ids, text in zip(encoded, texts):
        words = re.sub("[\ufdd0-\ufdd7]", "\ufffd", unicodedata.normalize("NFC", text)).split(" ")
        assert subwords.decode_tgt(ids) == ("" if is_blank(text) else " ".join(filter(None, words)))


def test_the_language_models_reader_keeps_every_line_and_token(texts):
    filled = [text for text in texts if not is_blank(text)]
    for units in ("words", "subwords"):
        encoded = encode(Text("fuzz", texts, texts, texts), Options(units=units, vocab_size=30_000))
        assert len(encoded.valid) == len(filled) and encoded.valid_words == sum(len(split_words(t)) + 1 for t in filled)
        end = encoded.vocabulary.end
        segments = evaluation_segments(encoded.valid, end, 7, 50)
        rows = [np.concatenate([s.labels.asnumpy()[n, :s.valid_length.asnumpy()[n]] for s in segments])
                for n in range(7)]
        assert np.concatenate(rows).tolist() == [token for ids in encoded.valid for token in (*ids, end)]
        stream = TrainingStream(encoded.train, end, 7, 50, shuffle=False)
        labels = np.concatenate([s.labels.asnumpy() for s in stream.epoch(0)], axis=1).ravel()
        assert labels.tolist() == np.concatenate(rows)[:len(labels)].tolist()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A translation model with subwords of odd text."""
    there = tmp_path_factory.mktemp("model")
    text = write(there / "text", [line.encode() for line in [*fuzz.WORDS, *(f"a{odd}b" for odd in fuzz.ODD)]])
    flags = RUN.format(text=text, there=there).replace("--vocab_size 40", "--vocab_size 300 --max_length 8")
    with pytest.MonkeyPatch.context() as patch:
        assert programs.run_here(patch, "train_translation.py", *shlex.split(flags), "--output_dir", there / "run") == 0
    return there / "run"


@pytest.fixture
def lively(monkeypatch):
    """Let the model that is loaded have parameters that make a difference between sentences."""
    original = translator.load

    def load(*args):
        chain, *others = original(*args)
        values = np.random.RandomState(0)
        for parameter in chain.collect_params().values():
            parameter.set_data(mx.nd.array(values.uniform(-2, 2, parameter.shape)))
        return (chain, *others)

    monkeypatch.setattr(translator, "load", load)


def translated(patch, capfd, model, data, *flags):
    """The lines that translate.py prints, split at LF alone."""
    capfd.readouterr()
    with patch.context() as here:
        assert programs.run_here(here, "translate.py", "--model", model, "--max_length", 4, "--beam_size", 3,
                                 "--errors", "replace", *flags, stdin=data) == 0
    out = capfd.readouterr().out.split("\n")
    assert out.pop() == ""
    return out


@pytest.mark.long
def test_every_line_has_its_translations_in_order(model, lively, lines, monkeypatch, capfd):
    data = b"\n".join(lines)
    plain = translated(monkeypatch, capfd, model, data)
    assert len(plain) == NUMBER and len(set(plain)) > 20
    assert all(out == "" for line, out in zip(lines, plain) if is_blank(alone(line)))
    reverse = translated(monkeypatch, capfd, model, b"\n".join(lines[1999::-1]))
    assert sum(one != other for one, other in zip(plain, reverse[::-1])) <= 2  # scores may be equal but for rounding
    several = [line.split("\t", 2) for line in translated(monkeypatch, capfd, model, data, "--nbest", 3)]
    first = {}
    for number, _, text in several:
        first.setdefault(int(number), text)
    numbers = [int(number) for number, _, _ in several]
    assert numbers == sorted(numbers) and list(first.values()) == plain and len(first) == NUMBER
    for (one, better, _), (other, score, _) in zip(several, several[1:]):
        assert one != other or float(better) >= float(score)
