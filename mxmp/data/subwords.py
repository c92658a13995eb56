"""Subword units: sentencepiece models whose pieces are also gluonnlp vocabularies."""
from __future__ import annotations

import io
import logging
import unicodedata
from pathlib import Path
from typing import Iterable, Iterator, List, Sequence

import gluonnlp
import sentencepiece

from ..writing import write_aside
from .corpus import ParallelText, is_blank
from .files import PathLike

PAD_ID = 0
"""What fills a batch's shorter sentences."""
UNK_ID = 1
"""A character that the subword model does not know."""
BOS_ID = 2
"""The mark before a sentence."""
EOS_ID = 3
"""The mark after a sentence."""

_JOINT_FILE, _SRC_FILE, _TGT_FILE = "subwords.model", "subwords.src.model", "subwords.tgt.model"
_MAX_SIZE = 2 ** 31 - 1  # of a vocabulary: sentencepiece reads it as an int
_MAX_BYTES = 4192  # of a line: sentencepiece leaves longer ones out
# Characters that sentencepiece keeps for itself, in one version or another, or spells special pieces with, and what
# stands for each in a model: code points that Unicode sets aside for such use. A tab's sorts as a tab does, so that
# the vocabularies of texts with none of the others are numbered as without stand-ins.
_STAND_INS = {**dict(zip(map(ord, "\0\n\r\x10\x1f<▁▅"), range(0xFDD0, 0xFDF0))), ord("\t"): 0x10}
_ORIGINALS = {stand_in: character for character, stand_in in _STAND_INS.items()}
# A text that has such a code point itself would come back with an end of a line in it.
_ENCODED = {**dict.fromkeys(_ORIGINALS, 0xFFFD), **_STAND_INS}
_log = logging.getLogger(__name__)


class Subwords:
    """Turns sentences of both languages into subword ids and back.

    Case and accents survive a round trip: sentencepiece's own normalisation is off, because all its rules (NFKC)
    rewrite text for good, such as ``…`` or ``½``, and translations are scored against the raw text. Text is only
    brought to the composed form (NFC), or an accent typed as two characters would be unknown, and runs of spaces
    become one. Text that reads as a special piece, such as ``</s>``, is text. U+FDD0 to U+FDD7, which Unicode allows in
    no text, become U+FFFD. A line that `is_blank` has no subwords.

    Parameters
    ----------
    src_model, tgt_model : bytes
        Serialized sentencepiece models with the ids of `PAD_ID`, `UNK_ID`, `BOS_ID` and `EOS_ID`.
        The same bytes twice make a joint vocabulary.

    Attributes
    ----------
    src_vocab, tgt_vocab : gluonnlp.Vocab
        The pieces under the ids that sentencepiece gives them; one object if `joint`.
    joint : bool
        Whether both languages share one model.
    """

    def __init__(self, src_model: bytes, tgt_model: bytes) -> None:
        self.joint = src_model == tgt_model
        self._src = sentencepiece.SentencePieceProcessor(model_proto=src_model)
        self._tgt = self._src if self.joint else sentencepiece.SentencePieceProcessor(model_proto=tgt_model)
        self.src_vocab = _make_vocab(self._src)
        self.tgt_vocab = self.src_vocab if self.joint else _make_vocab(self._tgt)

    @classmethod
    def train(cls, text: ParallelText, vocab_size: int, joint: bool = True) -> Subwords:
        """Returns byte-pair encodings of a `text`, which depend on nothing but the arguments.

        They have `vocab_size` pieces, in each of two models if not `joint`. A text too small for so many gives fewer,
        which is logged; a size without room for the text's characters, or an empty text, is a ValueError.
        """
        if joint:
            model = _train_model(text.src + text.tgt, vocab_size)
            return cls(model, model)
        return cls(_train_model(text.src, vocab_size), _train_model(text.tgt, vocab_size))

    @property
    def pieces(self) -> List[str]:
        """All of the source's and all of the target's pieces, in the order of their ids."""
        return self.src_vocab.idx_to_token + self.tgt_vocab.idx_to_token

    @property
    def models(self) -> List[bytes]:
        """The serialized source and target model, from which ``Subwords(*models)`` is an equal object."""
        return [self._src.serialized_model_proto(), self._tgt.serialized_model_proto()]

    def encode_src(self, sentences: Sequence[str]) -> List[List[int]]:
        """The ids of each of the source `sentences`, without begin or end marks."""
        return self._src.encode([_to_model(sentence) for sentence in sentences], num_threads=1)

    def encode_tgt(self, sentences: Sequence[str]) -> List[List[int]]:
        """The ids of each of the target `sentences`, without begin or end marks."""
        return self._tgt.encode([_to_model(sentence) for sentence in sentences], num_threads=1)

    def decode_tgt(self, ids: Iterable[int]) -> str:
        """The detokenised target sentence of `ids` up to the first `EOS_ID`; `PAD_ID` and `BOS_ID` are skipped."""
        pieces: List[int] = []
        for index in ids:
            if index == EOS_ID:
                break
            if index not in (PAD_ID, BOS_ID):
                pieces.append(int(index))
        return self._tgt.decode(pieces).translate(_ORIGINALS)

    def save(self, folder: PathLike) -> None:
        """Write ``subwords.model``, or ``subwords.src.model`` and ``subwords.tgt.model``, into ``folder``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = [_JOINT_FILE] if self.joint else [_SRC_FILE, _TGT_FILE]
        for name, model in zip(names, self.models):
            with write_aside(folder / name) as partial:
                partial.write_bytes(model)

    @classmethod
    def load(cls, folder: PathLike) -> Subwords:
        """Returns the subwords that `save` wrote into ``folder``.

        Raises
        ------
        ValueError
            If the folder holds no subword model, or a damaged one.
        """
        folder = Path(folder)
        if (folder / _JOINT_FILE).is_file():
            model = _read_model(folder / _JOINT_FILE)
            return cls(model, model)
        missing = [name for name in (_SRC_FILE, _TGT_FILE) if not (folder / name).is_file()]
        if missing:
            raise ValueError(f'{folder}: no {_JOINT_FILE} and no {" or ".join(missing)}; '
                             'name the output folder of a training run')
        return cls(_read_model(folder / _SRC_FILE), _read_model(folder / _TGT_FILE))


def _read_model(path: Path) -> bytes:
    model = path.read_bytes()
    try:
        sentencepiece.SentencePieceProcessor().LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise ValueError(f"{path}: no subword model, or a damaged one; name the output folder of a training "
                         "run") from error
    return model


def _to_model(sentence: str) -> str:
    return "" if is_blank(sentence) else unicodedata.normalize("NFC", sentence).translate(_ENCODED)


def _to_trainer(sentences: List[str]) -> Iterator[str]:
    """What a model learns from: as it will be encoded, long lines in pieces."""
    for sentence in map(_to_model, sentences):
        if len(sentence.encode("utf-8")) <= _MAX_BYTES:
            yield sentence
        else:
            size = _MAX_BYTES // 4  # a character has four bytes at most
            yield from (sentence[begin:begin + size] for begin in range(0, len(sentence), size))


def _train_model(sentences: List[str], vocab_size: int) -> bytes:
    if all(map(is_blank, sentences)):
        raise ValueError(f"no text to learn subwords from: all {len(sentences)} sentences are blank")
    buffer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_to_trainer(sentences), model_writer=buffer, model_type="bpe",
            vocab_size=min(max(vocab_size, EOS_ID + 1), _MAX_SIZE), hard_vocab_limit=False, character_coverage=1.0,
            normalization_rule_name="identity", pad_id=PAD_ID, unk_id=UNK_ID, bos_id=BOS_ID, eos_id=EOS_ID,
            num_threads=1, minloglevel=2)
    except RuntimeError as error:
        # "INTERNAL: file.cc(1) [condition] Vocabulary size is smaller than required_chars. 5 vs 10. ..."
        reason = str(error).rsplit("] ")[-1].split(" Increase")[0].strip() or error
        raise ValueError(f"vocab_size={vocab_size} does not suit this text; sentencepiece says: {reason}") from error
    model = buffer.getvalue()
    size = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size()
    if size < vocab_size:
        _log.info("the text supports only %d of the %d subwords asked for", size, vocab_size)
    return model


def _make_vocab(processor: sentencepiece.SentencePieceProcessor) -> gluonnlp.Vocab:
    ids = {processor.id_to_piece(index): index for index in range(processor.get_piece_size())}
    return gluonnlp.Vocab(
        gluonnlp.data.count_tokens(ids), token_to_idx=ids,
        padding_token=processor.id_to_piece(PAD_ID), unknown_token=processor.id_to_piece(UNK_ID),
        bos_token=processor.id_to_piece(BOS_ID), eos_token=processor.id_to_piece(EOS_ID))
