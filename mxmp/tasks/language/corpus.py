"""From options to text, vocabulary and token numbers."""
from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import List

from ...data import Text, load_multi30k, load_numbers, load_tatoeba, load_text, read_lines, split_lines
from .options import Options
from .vocabulary import Pieces, Vocabulary, Words, count_words

_log = logging.getLogger(__name__)
Sentences = List[List[int]]
"""Token numbers of each line."""


@dataclass
class Encoded:
    """A text as token numbers, without end marks, and the words of the parts that are measured.

    Parameters
    ----------
    text : Text
        What was encoded.
    vocabulary : Words or Pieces
        Learned from its training lines.
    train, valid, test : list of list of int
        Token numbers of each line.
    valid_words, test_words : int
        Number of words, as of `count_words`.
    """

    text: Text
    vocabulary: Vocabulary
    train: Sentences
    valid: Sentences
    test: Sentences
    valid_words: int
    test_words: int


def load_corpus(options: Options) -> Text:
    """The text that ``options`` ask for; of data sets with two languages the English side.

    Raises
    ------
    ValueError
        If a file or folder that is needed is not given, or anything is wrong with one.
    RuntimeError
        If a download fails.
    """
    if options.dataset == "tatoeba":
        if options.data_dir is None:
            raise ValueError("--dataset tatoeba needs --data_dir, the folder with its German-English pairs (deu.txt, "
                             "or the zip file that it comes in)")
        return load_tatoeba(options.data_dir)
    if options.dataset == "files":
        return _own(options)
    corpus = load_numbers() if options.dataset == "numbers" else \
        load_multi30k("en", "de", options.data_dir, options.cache_dir)
    return Text(corpus.name, corpus.train.src, corpus.valid.src, corpus.test.src)


def _own(options: Options) -> Text:
    if options.text:
        return Text(options.text, *split_lines(read_lines(options.text)))
    files = {name: getattr(options, name) for name in ("train_text", "valid_text", "test_text")}
    missing = ["--" + name for name, path in files.items() if path is None]
    if missing:
        raise ValueError(f"--dataset files needs {', '.join(missing)}, or --text alone")
    return load_text(*files.values())


def encode(text: Text, options: Options) -> Encoded:
    """Learn the vocabulary from the training text, and encode all three splits.

    Parameters
    ----------
    text : Text
        What to encode.
    options : Options
        They say what a token is.

    Returns
    -------
    Encoded
        The text as token numbers.

    Raises
    ------
    ValueError
        If the vocabulary's size does not suit the text.
    """
    vocabulary: Vocabulary = Words.learn(text.train, options.min_count) if options.units == "words" else \
        Pieces.learn(text.train, options.vocab_size)
    train, valid, test = (vocabulary.encode(lines) for lines in (text.train, text.valid, text.test))
    encoded = Encoded(text, vocabulary, train, valid, test, count_words(text.valid), count_words(text.test))
    _log.info("%s: %d, %d and %d lines to train, validate and test on; %d %s; %d training tokens with end marks, "
              "%.2f%% of the test's %d are unknown", text.name, len(train), len(valid), len(test), len(vocabulary),
              options.units, num_tokens(train), 100 * unknown_share(encoded), num_tokens(test))
    return encoded


def num_tokens(sentences: Sentences) -> int:
    """The number of tokens of ``sentences``, an end mark for each among them."""
    return sum(len(sentence) + 1 for sentence in sentences)


def unknown_share(encoded: Encoded) -> float:
    """The share of the test tokens of ``encoded``, end marks among them, that stand for unknown words, 0 to 1."""
    unknown = encoded.vocabulary.unknown
    return sum(sentence.count(unknown) for sentence in encoded.test) / num_tokens(encoded.test)
