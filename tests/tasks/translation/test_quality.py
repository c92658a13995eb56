"""BLEU, chrF and exact matches against scores worked out by hand, what decides between models, a validation's loss."""
import math
import unicodedata

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import pipelined, random_values
from helpers.tiny import OPTIONS
from mxnet import autograd

from mxmp import Pipeline, Plan
from mxmp.data import EOS_ID, BatchLoader
from mxmp.tasks.progress import perplexity
from mxmp.tasks.translation.model import TranslationLoss, translation_chain
from mxmp.tasks.translation.quality import References, mean_loss

CHINESE = ["我们今天去北京看长城。", "他喜欢在晚上读书。", "这本书很有意思。"]
JAPANESE = ["私は毎朝コーヒーを飲みます。", "東京は日本の首都です。"]
PAIRS = [([5, 6, 7], [8, 9]), ([5], [7, 7, 6, 5]), ([9, 4], [22]), ([4, 4, 4, 4], [10, 11, 12])]


def score(hypotheses, references, tokenize=None):
    return References(references, tokenize).score(hypotheses)


def test_a_perfect_translation_scores_100():
    quality = score(["the cat sat on the mat"], ["the cat sat on the mat"])
    assert quality.bleu == pytest.approx(100) and quality.chrf == pytest.approx(100)
    assert quality.exact_match == 1 and quality.length_ratio == 1


def test_bleu_is_that_of_the_formula():
    # 1- to 4-gram precisions 5/5, 4/4, 3/3, 2/2 with 5 words for 6: only the brevity penalty exp(1 - 6/5) is left
    quality = score(["the cat sat on the"], ["the cat sat on the mat"])
    assert quality.bleu == pytest.approx(100 * math.exp(1 - 6 / 5)) and quality.length_ratio == pytest.approx(5 / 6)


def test_chrf_is_that_of_the_formula():
    # of "abc" for "abd" 2 of 3 letters and 1 of 2 pairs are right, no triple is: precision and recall are 7/18 both
    assert score(["abc"], ["abd"]).chrf == pytest.approx(100 * 7 / 18)


def test_case_and_punctuation_count():
    assert score(["A cat."], ["a cat."]).exact_match == 0
    assert "case:mixed" in score(["a"], ["a"]).signature and "tok:13a" in score(["a"], ["a"]).signature


@pytest.mark.parametrize("hypotheses, references", [([], []), (["a"], ["a", "b"])])
def test_nothing_to_score_is_an_error(hypotheses, references):
    with pytest.raises(ValueError, match="cannot score"):
        score(hypotheses, references)


@pytest.mark.parametrize("lines, decisive", [
    (["EINS", "ZWEI"], "chrF"), (["a b c"] * 10 + ["d e f g h"], "chrF"), (["a b c"] * 9 + ["d e f g h"], "BLEU")])
def test_chrf_decides_where_hardly_a_reference_is_long_enough_for_bleu(lines, decisive):
    references = References(lines)
    assert references.decisive == decisive and ("BLEU says little" in str(references)) == (decisive == "chrF")
    whole, part = (references.score(text) for text in (lines, ["?"] * (len(lines) - 1) + lines[-1:]))
    assert references.criterion(whole) == pytest.approx(100) and references.criterion(part) < 100
    assert references.criterion(whole) == {"BLEU": whole.bleu, "chrF": whole.chrf}[decisive]


def test_bleu_says_nothing_about_single_words_and_chrf_does():
    quality = score(["EINS", "ZWEI"], ["EINS", "ZWEI"])
    assert quality.bleu == 0 and quality.chrf == pytest.approx(100)


@pytest.mark.parametrize("lines, tokenizer", [
    (CHINESE, "zh"), (["ฉันกินข้าว"], "char"), (["ບໍ່ເປັນຫຍັງ"], "char"),
    (["ខ្ញុំ"], "char"), (["ကျွန်"], "char"), (["བོད་ཡིག"], "char"),
    (["Der Hund läuft."], "13a"), (["Привет"], "13a"), (["the word 中 means middle"], "13a"), (["42 !"], "13a")])
def test_the_tokenizer_is_that_of_the_script(lines, tokenizer):
    references = References(lines)
    assert references.tokenizer == tokenizer and f"tok:{tokenizer}" in references.score(lines).signature


@pytest.mark.parametrize("lines, tokenizer", [(JAPANESE, "ja-mecab"), (["나는 학교에 간다."], "ko-mecab")])
def test_a_tokenizer_that_is_not_installed_is_replaced_by_characters(lines, tokenizer):
    assert References(lines).tokenizer in (tokenizer, "char")
    assert References(lines).score(lines).bleu == pytest.approx(100)


def test_a_tokenizer_that_is_asked_for_and_not_installed_is_an_error(monkeypatch):
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_ja_mecab.MeCab", None)
    with pytest.raises(ValueError, match=r"--bleu_tokenize ja-mecab .* pip install 'sacrebleu\[ja\]'"):
        References(JAPANESE, "ja-mecab")
    assert References(JAPANESE).tokenizer == "char"


def test_chinese_is_scored_by_characters_unless_asked_otherwise():
    hypotheses = [line.replace("很", "真") for line in CHINESE]
    # right are 27 of 28 tokens, 23 of 25 pairs, 19 of 22 triples, 15 of 19 runs of four
    expected = 100 * (27 / 28 * 23 / 25 * 19 / 22 * 15 / 19) ** 0.25
    assert score(hypotheses, CHINESE).bleu == pytest.approx(expected, abs=1e-6)
    assert score(hypotheses, CHINESE, "13a").bleu < 60 and "tok:13a" in score(hypotheses, CHINESE, "13a").signature


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_either_side_may_be_decomposed_or_have_other_spaces(form):
    references = [unicodedata.normalize(form, "Hôtel à  côté,\u00a0déjà fermé été ")]
    for hypothesis in (" ".join(unicodedata.normalize("NFC", references[0]).split()), references[0]):
        quality = score([hypothesis], references)
        assert quality.bleu == pytest.approx(100) and quality.chrf == pytest.approx(100) and quality.exact_match == 1
    assert quality.signature.endswith("|norm:NFC+spaces")


class Oracle(mx.gluon.Block):
    """Reads the reference so far, as the translation chain does, and is sure of the token after it."""

    def forward(self, src, src_len, tgt):
        after = mx.nd.concat(tgt[:, 1:], mx.nd.zeros_like(tgt[:, :1]), dim=1)
        return 50 * mx.nd.one_hot(mx.nd.where(after, after, EOS_ID * mx.nd.ones_like(after)), 23).swapaxes(0, 1)


def test_the_perplexity_of_a_model_that_is_always_right_is_1():
    with Pipeline([Oracle()], Plan((1,), (mx.cpu(0),)), TranslationLoss(0.1), num_microbatches=2) as pipe:
        assert perplexity(mean_loss(pipe, BatchLoader(PAIRS, 3).epoch(0))) == pytest.approx(1, abs=1e-5)  # float32


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_validation_is_not_smoothed_and_training_is(smoothing):
    chain = translation_chain(OPTIONS)
    (batch,) = BatchLoader(PAIRS, 4).epoch(0)
    data, labels = (batch.src, batch.src_len, batch.tgt_in), (batch.tgt_out, batch.tgt_len)
    with pipelined(chain, random_values(chain), TranslationLoss(smoothing), (4, 7), 2) as pipe:
        validated, trained = mean_loss(pipe, [batch]), pipe.forward_backward(*[data, labels]).asscalar()
        again = mean_loss(pipe, [batch])
    whole = translation_chain(OPTIONS)
    whole.initialize()
    for name, value in random_values(whole).items():
        whole._collect_params_with_prefix()[name].set_data(mx.nd.array(value))
    scores = whole(*data).asnumpy().astype("float64")  # (T, N, V)
    log_probs = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    valid = np.arange(len(scores))[:, None] < batch.tgt_len.asnumpy()
    of_labels = np.take_along_axis(log_probs, batch.tgt_out.asnumpy().T[:, :, None], -1)[:, :, 0]
    smoothed = (1 - smoothing) * of_labels + smoothing * log_probs.mean(axis=-1)
    assert validated == again == pytest.approx(-of_labels[valid].mean(), rel=1e-5)
    assert trained == pytest.approx(-smoothed[valid].sum(), rel=1e-5) and not autograd.is_training()
