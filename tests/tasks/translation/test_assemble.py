"""From options to a corpus."""
import pytest

from mxmp.tasks.translation.assemble import load_corpus
from mxmp.tasks.translation.options import Options


def test_own_files_that_are_not_given_are_named():
    with pytest.raises(ValueError, match="needs --train_tgt, --valid_src, --valid_tgt, --test_src, --test_tgt"):
        load_corpus(Options(dataset="files", train_src="a"))


def test_numbers_are_generated_in_the_languages_asked_for():
    corpus = load_corpus(Options(tgt_lang="de"))
    assert (corpus.src_lang, corpus.tgt_lang) == ("en", "de") and len(corpus.train) > 1000
