"""How good translations are: BLEU and chrF as sacrebleu computes them, the share of exact matches, and the loss."""
from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Any, Iterable, NamedTuple, Optional, Sequence

from sacrebleu.metrics import BLEU, CHRF

from ...data import Batch
from ...pipeline import Pipeline
from ..progress import loss_text

_NGRAM = 4  # tokens of BLEU's longest n-grams
_LONG_SHARE = 0.1  # of references that have so many: with fewer, BLEU would judge by a handful of them
# by the first word of letters' Unicode names; of the scripts that put no spaces between words, and Korean
_TOKENIZERS = {"CJK": "zh", "HIRAGANA": "ja-mecab", "KATAKANA": "ja-mecab", "HANGUL": "ko-mecab",
               **dict.fromkeys(("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE", "BALINESE", "YI"), "char")}


class Quality(NamedTuple):
    """How good translations are.

    As text it is what a run logs at its end.
    """

    bleu: float  # Papineni et al. 2002, 0 to 100
    chrf: float  # Popović 2015, 0 to 100
    exact_match: float  # share of translations that equal their references, 0 to 1
    length_ratio: float  # length of all translations over that of all references
    signature: str  # how sacrebleu computed BLEU, and of what form of the text
    chrf_signature: str

    def __str__(self) -> str:
        return (f"BLEU {self.bleu:.2f}, chrF {self.chrf:.2f}, exact match {100 * self.exact_match:.1f}%, length ratio "
                f"{self.length_ratio:.3f} [{self.signature}]")

    def with_loss(self, loss: float) -> str:
        """What a run logs after an epoch, when the model has this ``loss`` per token, in nats."""
        return (f"{loss_text(loss)} BLEU {self.bleu:.2f} chrF {self.chrf:.2f} (length ratio {self.length_ratio:.3f}) "
                f"exact match {100 * self.exact_match:.1f}%")


class References:
    """The right translations of a text, one a line, and how others are compared with them.

    Either side is first brought to the form of the model's own text: composed characters (NFC), and one space in the
    place of any white space. BLEU counts the tokens of sacrebleu's ``tokenizer``, which is that of the lines' script
    unless one is asked for. ``decisive`` names the score that tells which model is better: "BLEU" or, where hardly a
    line has the four tokens without which it is 0, "chrF".
    """

    def __init__(self, lines: Sequence[str], tokenizer: Optional[str] = None) -> None:
        self._lines = [_normalized(line) for line in lines]
        self.tokenizer = tokenizer or usual_tokenizer(self._lines)
        self._bleu, self._chrf = _bleu(self.tokenizer), CHRF()
        self._long = sum(len(self._bleu.tokenizer(line).split()) >= _NGRAM for line in self._lines)
        self.decisive = "BLEU" if self._long >= _LONG_SHARE * len(lines) else "chrF"

    def score(self, hypotheses: Sequence[str]) -> Quality:
        """The quality of detokenised, cased translations, in the lines' order; BLEU and chrF are the whole corpus's."""
        if not self._lines or len(hypotheses) != len(self._lines):
            raise ValueError(f"cannot score {len(hypotheses)} translations against {len(self._lines)} references")
        ours = [_normalized(line) for line in hypotheses]
        bleu, chrf = (metric.corpus_score(ours, [self._lines]) for metric in (self._bleu, self._chrf))
        exact = sum(h == r for h, r in zip(ours, self._lines)) / len(ours)
        signature, chrf_signature = (f"{metric.get_signature()}|norm:NFC+spaces" for metric in (self._bleu, self._chrf))
        return Quality(bleu.score, chrf.score, exact, bleu.sys_len / max(1, bleu.ref_len), signature, chrf_signature)

    def criterion(self, quality: Quality) -> float:
        """The score of a ``quality`` that tells which model is better."""
        return quality.bleu if self.decisive == "BLEU" else quality.chrf

    def __str__(self) -> str:
        if self.decisive == "BLEU":
            return f"BLEU with the tokenizer {self.tokenizer} decides which model is the best"
        return (f"BLEU says little, as {self._long} of {len(self._lines)} references have {_NGRAM} tokens "
                f"({self.tokenizer}) or more: chrF decides which model is the best")


def usual_tokenizer(lines: Sequence[str]) -> str:
    """The tokenizer that sacrebleu has for the script of most letters: ``13a`` where words have spaces between them;
    ``char`` where there is none for the script, or it is not installed."""
    counts = Counter({"13a": 1})  # where there are no letters
    for letter, count in Counter("".join(lines)).items():
        if letter.isalpha():
            counts[_TOKENIZERS.get(re.split("[ -]", unicodedata.name(letter, ""))[0], "13a")] += count
    if counts["ja-mecab"] > counts["zh"] / 10:  # Japanese has Chinese characters, too
        counts["ja-mecab"] += counts.pop("zh", 0)
    name = max(counts, key=counts.__getitem__)
    try:
        BLEU(tokenize=name)
    except RuntimeError:
        return "char"
    return name


def _bleu(tokenizer: str) -> BLEU:
    try:
        return BLEU(tokenize=tokenizer)
    except RuntimeError as error:
        raise ValueError(f"--bleu_tokenize {tokenizer} needs packages of its own; install them with pip install "
                         f"'sacrebleu[{tokenizer[:2]}]', or choose another") from error


def _normalized(line: str) -> str:
    return " ".join(unicodedata.normalize("NFC", line).split())


def mean_loss(pipe: Pipeline, batches: Iterable[Batch]) -> float:
    """The loss per target token of a model on a text, in nats; waits for the sum at the end.

    It is not smoothed, if the pipeline's loss is a `TranslationLoss`, and the model reads the reference so far, not
    what it would have written.
    """
    total: Any = 0.0
    tokens = 0
    for batch in batches:
        total = total + pipe((batch.src, batch.src_len, batch.tgt_in), (batch.tgt_out, batch.tgt_len))
        tokens += batch.num_tokens
    return float(total.asscalar()) / tokens
