"""From options to text and token numbers."""
import pytest

from mxmp.data import Text
from mxmp.tasks.language.corpus import encode, load_corpus, num_tokens, unknown_share
from mxmp.tasks.language.options import Options


def test_the_default_is_generated():
    text = load_corpus(Options())
    assert text.name == "numbers" and len(text.train) > 1000 and {"thirty-two", "the tenth"} & {*text.train}


def test_one_file_is_split_and_three_are_not(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text("".join(f"{path.name} {i}\n" for i in range(400)))
    whole = load_corpus(Options(dataset="files", text=str(paths[0])))
    assert len(whole.train) + len(whole.valid) + len(whole.test) == 400 and whole.valid and whole.test
    names = dict(zip(("train_text", "valid_text", "test_text"), map(str, paths)))
    text = load_corpus(Options(dataset="files", **names))
    assert [lines[0] for lines in vars(text).values()] == ["f", "a 0", "b 0", "c 0"]
    with pytest.raises(ValueError, match="--dataset files needs --valid_text, --test_text, or --text alone"):
        load_corpus(Options(dataset="files", train_text=str(paths[0])))


def test_tatoeba_needs_its_folder():
    with pytest.raises(ValueError, match="--dataset tatoeba needs --data_dir"):
        load_corpus(Options(dataset="tatoeba"))


@pytest.mark.parametrize("units, sizes", [("words", {"min_count": 2}), ("subwords", {"vocab_size": 20})])
def test_the_vocabulary_is_learned_from_the_training_text_alone(units, sizes):
    text = Text("x", ["a b", "a b", "ab ba"], ["b a"], ["a zz", "b"])
    encoded = encode(text, Options(units=units, **sizes))
    assert encoded.test_words == 5 and num_tokens(encoded.test) == sum(len(line) + 1 for line in encoded.test)
    assert 0 < unknown_share(encoded) < 0.5 and encoded.vocabulary.unknown not in encoded.valid[0]
