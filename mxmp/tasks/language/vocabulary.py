"""Tokens of a language model: words or subwords behind one face."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Iterable, List, Sequence, Union

import gluonnlp
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from ...data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, ParallelText, Subwords

_FILE = "words.json"
_UNKNOWN, _END = "<unk>", "</s>"
_split = Tokenizer13a()


def split_words(line: str) -> List[str]:
    """A line's words, punctuation as words of its own, as BLEU's mteval-v13a splits them ("don't" stays whole)."""
    return _split(line).split()


def join_words(words: Iterable[str]) -> str:
    """The text of ``words``, with no space before marks that end something or after those that begin something."""
    return re.sub(r" ([.,;:!?%)\]])|([(\[]) ", r"\1\2", " ".join(words))


class Words:
    """Whole words; rare ones share one token, ``<unk>``.

    Parameters
    ----------
    vocab : gluonnlp.Vocab
        From `learn`, or read from a file.

    Attributes
    ----------
    end, unknown : int
        The numbers of ``</s>`` and ``<unk>``.
    never_sampled : list of int
        Tokens that are no text.
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
        (folder / _FILE).write_text(self.vocab.to_json() + "\n", encoding="utf-8")


class Pieces:
    """Subwords of sentencepiece: every text has tokens, and none is unknown but for new characters.

    Parameters
    ----------
    subwords : Subwords
        Of one language on both sides.

    Attributes
    ----------
    end, unknown : int
        The numbers of the end mark and of the token for new characters.
    never_sampled : list of int
        Tokens that are no text.
    """

    def __init__(self, subwords: Subwords) -> None:
        self._subwords = subwords
        self.end, self.unknown = EOS_ID, UNK_ID
        self.never_sampled = [PAD_ID, UNK_ID, BOS_ID]

    @classmethod
    def learn(cls, lines: Sequence[str], vocab_size: int) -> Pieces:
        """Learn byte-pair encodings; returns ``vocab_size`` tokens that ``lines`` can be made of.

        Raises
        ------
        ValueError
            If ``vocab_size`` has no room for the text's characters.
        """
        return cls(Subwords.train(ParallelText(list(lines), list(lines)), vocab_size))

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
    """The vocabulary whose `save` wrote into ``folder``.

    Raises
    ------
    ValueError
        If the folder holds neither kind.
    """
    if not (folder / _FILE).is_file():
        return Pieces(Subwords.load(folder))
    return Words(gluonnlp.Vocab.from_json((folder / _FILE).read_text(encoding="utf-8")))


def count_words(lines: Sequence[str]) -> int:
    """The number of words of ``lines``, an end mark for each line among them: what perplexities per word divide by."""
    return sum(len(split_words(line)) + 1 for line in lines)
