"""Tokens of a language model, words or subwords behind one face, and a text encoded with them."""
from __future__ import annotations

import logging
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Sequence, Union

import gluonnlp
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from ...data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, ParallelText, Subwords, Text, is_blank
from ...writing import write_aside
from .options import Options

_FILE = "words.json"
_UNKNOWN, _END = "<unk>", "</s>"
_split = Tokenizer13a()
_log = logging.getLogger(__name__)

Sentences = List[List[int]]
"""Token numbers of each line, without end marks."""


def split_words(line: str) -> List[str]:
    """A line's words, punctuation as words of its own, as BLEU's mteval-v13a splits them ("don't" stays whole); accents
    are composed (NFC), or a word would have several spellings."""
    return [] if is_blank(line) else _split(unicodedata.normalize("NFC", line)).split()


def join_words(words: Iterable[str]) -> str:
    """The text of ``words``, with no space before marks that end something or after those that begin something."""
    return re.sub(r" ([.,;:!?%)\]])|([(\[]) ", r"\1\2", " ".join(words))


class Words:
    """Whole words; rare ones share one token, ``<unk>``.

    ``end`` and ``unknown`` are the numbers of ``</s>`` and ``<unk>``; those ``never_sampled`` are no text.
    """

    def __init__(self, vocab: gluonnlp.Vocab) -> None:
        self.vocab = vocab
        self.end: int = vocab[_END]
        self.unknown: int = vocab[_UNKNOWN]
        self.never_sampled = [self.unknown]

    @classmethod
    def learn(cls, lines: Sequence[str], min_count: int) -> Words:
        """All words that ``lines`` have at least ``min_count`` times, and two more tokens: ``<unk>`` and ``</s>``."""
        counter = gluonnlp.data.count_tokens([word for line in lines for word in split_words(line)])
        for special in (_UNKNOWN, _END):
            counter.pop(special, None)
        return cls(gluonnlp.Vocab(counter, min_freq=min_count, unknown_token=_UNKNOWN, padding_token=None,
                                  bos_token=None, eos_token=_END))

    @property
    def tokens(self) -> List[str]:
        """The tokens in the order of their numbers."""
        return self.vocab.idx_to_token

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self.vocab)

    def encode(self, lines: Sequence[str]) -> List[List[int]]:
        """The token numbers of each of ``lines``, without an end mark."""
        return [self.vocab[split_words(line)] for line in lines]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token numbers ``ids``, none of them the end mark."""
        return join_words(self.vocab.idx_to_token[index] for index in ids)

    def save(self, folder: Path) -> None:
        """Write ``words.json`` into ``folder``."""
        with write_aside(folder / _FILE) as partial:
            partial.write_text(self.vocab.to_json() + "\n", encoding="utf-8")


class Pieces:
    """Subwords of sentencepiece, of one language on both sides: none is ``unknown`` but for new characters."""

    def __init__(self, subwords: Subwords) -> None:
        self._subwords = subwords
        self.end, self.unknown = EOS_ID, UNK_ID
        self.never_sampled = [PAD_ID, UNK_ID, BOS_ID]

    @classmethod
    def learn(cls, lines: Sequence[str], vocab_size: int) -> Pieces:
        """Learn byte-pair encodings; returns ``vocab_size`` tokens that ``lines`` can be made of."""
        return cls(Subwords.train(ParallelText(list(lines), list(lines)), vocab_size))

    @property
    def tokens(self) -> List[str]:
        """The tokens in the order of their numbers."""
        return self._subwords.src_vocab.idx_to_token

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self._subwords.src_vocab)

    def encode(self, lines: Sequence[str]) -> List[List[int]]:
        """The token numbers of each of ``lines``, without an end mark."""
        return self._subwords.encode_src(lines)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token numbers ``ids``, none of them the end mark."""
        return self._subwords.decode_tgt(ids)

    def save(self, folder: Path) -> None:
        """Write ``subwords.model`` into ``folder``."""
        self._subwords.save(folder)


Vocabulary = Union[Words, Pieces]
"""Either kind of tokens."""


def load_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary whose `save` wrote into ``folder``."""
    path = folder / _FILE
    if not path.is_file():
        return Pieces(Subwords.load(folder))
    try:
        return Words(gluonnlp.Vocab.from_json(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"{path}: no vocabulary, or a damaged one; name the output folder of a training "
                         "run") from error


def count_words(lines: Sequence[str]) -> int:
    """The number of words of ``lines``, an end mark for each line among them: what perplexities per word divide by."""
    return sum(len(split_words(line)) + 1 for line in lines)


@dataclass
class Encoded:
    """A text as token numbers, and the words of the splits that are scored."""

    text: Text
    vocabulary: Vocabulary  # learned from the training lines
    train: Sentences
    valid: Sentences
    test: Sentences
    valid_words: int  # as of `count_words`
    test_words: int


def encode(text: Text, options: Options) -> Encoded:
    """Learn the vocabulary from the training text, and return all three splits as token numbers."""
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
