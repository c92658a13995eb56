"""Sampling: the distribution, reproducible texts on any contexts, prompts, limits."""
from collections import Counter

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, pipelined, random_values, set_values

from mxmp import Plan
from mxmp.tasks.language.generator import Generator, draw
from mxmp.tasks.language.model import ModelOptions, language_chain
from mxmp.tasks.language.vocabulary import Words

WORDS = Words.learn(["a b c d e f"], 1)


@pytest.fixture(scope="module")
def values():
    chain = language_chain(ModelOptions(len(WORDS), 4, 5, 3))
    return {name: 3 * value for name, value in random_values(chain, seed=2).items()}


def make(values, counts=(6,)):
    chain = language_chain(ModelOptions(len(WORDS), 4, 5, 3))
    with pipelined(chain, values, None, counts):
        return chain, Generator(chain, Plan(counts, CONTEXTS[:len(counts)]), WORDS)


def test_likely_tokens_are_drawn_as_often_as_the_softmax_says():
    rng, scores = np.random.RandomState(0), np.array([0.0, 2.0, -np.inf, 1.0])
    expected = np.exp(scores / 1.5) / np.exp(scores / 1.5).sum()
    drawn = np.bincount([draw(scores, 1.5, 0, rng) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(drawn, expected, atol=0.03)
    assert drawn[2] == 0


@pytest.mark.parametrize("temperature, top_k, possible", [(1.0, 2, {1, 3}), (1e-6, 0, {1}), (9.0, 1, {1})])
def test_temperature_and_top_k_narrow_the_choice(temperature, top_k, possible):
    rng, scores = np.random.RandomState(0), np.array([0.0, 2.0, -9.0, 1.5])
    assert {draw(scores, temperature, top_k, rng) for _ in range(200)} == possible


@pytest.mark.parametrize("counts", [(3, 3), (1, 2, 3)])
def test_a_seed_gives_the_same_texts_on_any_contexts(values, counts):
    texts = make(values)[1]("a b", 20, num_samples=3, seed=5)
    assert make(values, counts)[1]("a b", 20, num_samples=3, seed=5) == texts
    assert len(set(texts)) == 3 and all(text.startswith("a b") for text in texts)
    assert make(values)[1]("a b", 20, num_samples=3, seed=6) != texts


def test_the_most_likely_text_is_that_of_the_whole_chain_run_anew_for_every_token(values):
    chain, generate = make(values)
    ids = [WORDS.end, *WORDS.encode(["c d"])[0]]
    for _ in range(8):
        scores = chain(mx.nd.array([ids], dtype="int32"))[0, -1].asnumpy()
        scores[WORDS.never_sampled] = -np.inf
        ids.append(int(scores.argmax()))
    lines = " ".join(WORDS.vocab.idx_to_token[i] for i in ids[1:]).split("</s>")
    expected = "\n".join(line.strip() for line in lines).rstrip("\n")
    assert generate("c d", 8, temperature=1e-6) == [expected]


def test_unknown_words_are_read_but_never_written(values):
    favourite = dict(values)
    favourite["projection.dense.bias"] = np.where(np.arange(len(WORDS)) == WORDS.unknown, 50.0, 0.0)
    chain, generate = make(values)
    set_values(chain, favourite)
    (text,) = generate("zebra a", 30)
    assert text.startswith("<unk> a") and Counter(text.split())["<unk>"] == 1


@pytest.mark.parametrize("wrong, message", [
    ({"length": 0}, "length must be at least 1, got 0"), ({"num_samples": 0}, "num_samples must be at least 1"),
    ({"top_k": -1}, "top_k must be at least 0, got -1"), ({"seed": -1}, "seed must be at least 0, got -1"),
    ({"temperature": 0}, "temperature must be positive and finite, got 0"),
    ({"temperature": float("inf")}, "temperature must be positive and finite, got inf")])
def test_numbers_out_of_range_are_named(values, wrong, message):
    with pytest.raises(ValueError, match=message):
        make(values)[1](**wrong)
