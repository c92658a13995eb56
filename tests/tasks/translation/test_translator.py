"""Beam search over a trained chain, and one decoding step of it."""
import itertools

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import assert_same, pipelined, random_values
from helpers.tiny import CONTEXTS, OPTIONS, batch

from mxmp import Plan, Trainer
from mxmp.data import BOS_ID, EOS_ID, ParallelText, Subwords
from mxmp.tasks import checkpoint
from mxmp.tasks.translation.model import ModelOptions, translation_chain
from mxmp.tasks.translation.translator import StepDecoder, Translator, load

TEXT = ParallelText(["ab ba", "ba ab ab", "b a"] * 4, ["ba ab", "ab ba ba", "a b"] * 4)


@pytest.fixture(scope="module")
def subwords():
    return Subwords.train(TEXT, 12)


@pytest.fixture(scope="module")
def chain(subwords):
    size = len(subwords.src_vocab)
    return translation_chain(ModelOptions(size, size, True, 8, 6, 2, 2, 0.0))


@pytest.fixture(scope="module")
def plan(chain):
    plan = Plan((4, 5), CONTEXTS[:2])
    values = {name: 4 * value for name, value in random_values(chain, seed=3).items()}  # sentences make a difference
    with pipelined(chain, values, None, plan.counts, 1):
        return plan


def score_of(decoder, src, src_len, tokens, alpha):
    """Length-normalised log probability of one translation, token by token."""
    states, total, previous = decoder.encode(src, src_len), 0.0, BOS_ID
    for token in tokens:
        log_probs, states = decoder(mx.nd.array([previous], ctx=CONTEXTS[1], dtype="int32"), states)
        total, previous = total + float(log_probs[0, int(token)].asscalar()), token
    return total / ((5 + len(tokens)) / 6) ** alpha


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_beam_as_wide_as_the_vocabulary_finds_the_best_of_all_short_translations(subwords, chain, plan, alpha):
    size = len(subwords.src_vocab)
    ids = subwords.encode_src(["ab ba"])[0] + [EOS_ID]
    src, src_len = mx.nd.array([ids], dtype="int32"), mx.nd.array([len(ids)], dtype="int32")
    decoder = StepDecoder(chain, plan)
    # with max_length 1 a translation is one token and then the end, which costs nothing when it is forced
    complete = [(EOS_ID,)] + [(token,) for token in range(size) if token != EOS_ID]
    expected = max(score_of(decoder, src, src_len, tokens, alpha) for tokens in complete)
    best = Translator(chain, plan, subwords, beam_size=size, lp_alpha=alpha, max_length=1)(["ab ba"])[0][0]
    assert best.score == pytest.approx(expected, abs=1e-4)


def test_greedy_search_follows_the_most_likely_token(subwords, chain, plan):
    ids = subwords.encode_src(["ba ab"])[0] + [EOS_ID]
    decoder = StepDecoder(chain, plan)
    states = decoder.encode(mx.nd.array([ids], dtype="int32"), mx.nd.array([len(ids)], dtype="int32"))
    tokens, previous = [], BOS_ID
    for _ in range(6):
        log_probs, states = decoder(mx.nd.array([previous], ctx=CONTEXTS[1], dtype="int32"), states)
        previous = int(log_probs.argmax(axis=1).asscalar())
        tokens.append(previous)
        if previous == EOS_ID:
            break
    best = Translator(chain, plan, subwords, beam_size=1, max_length=6)(["ba ab"])[0][0]
    assert best.text == subwords.decode_tgt(tokens)


def test_order_is_kept_whatever_the_batches(subwords, chain, plan):
    sentences = ["ab", "", "ab ba ab ba", "ba", "   ", "b a b"]
    one = Translator(chain, plan, subwords, beam_size=2, max_length=8, batch_size=1)(sentences)
    three = Translator(chain, plan, subwords, beam_size=2, max_length=8, batch_size=3)(sentences)
    texts = [[h.text for h in hypotheses] for hypotheses in one]
    assert texts == [[h.text for h in hypotheses] for hypotheses in three]
    assert texts[1] == texts[4] == [""] and len({tuple(t) for t in texts}) > 2


def test_hypotheses_are_best_first(subwords, chain, plan):
    for hypotheses in Translator(chain, plan, subwords, beam_size=4, max_length=8)(["ab ba", "b"]):
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)


def test_translations_do_not_depend_on_the_contexts(subwords, chain, plan):
    values = {n: p.data(p.list_ctx()[0]).asnumpy() for n, p in chain._collect_params_with_prefix().items()}
    expected = Translator(chain, plan, subwords, max_length=8)(TEXT.src[:3])
    for counts in ((9,), (3, 3, 3)):
        other = translation_chain(ModelOptions(len(subwords.src_vocab), len(subwords.src_vocab), True, 8, 6, 2, 2, 0.0))
        with pipelined(other, values, None, counts, 1) as pipe:
            actual = Translator(other, pipe.plan, subwords, max_length=8)(TEXT.src[:3])
        for ours, theirs in itertools.zip_longest(actual, expected):
            assert [h.text for h in ours] == [h.text for h in theirs]
            np.testing.assert_allclose([h.score for h in ours], [h.score for h in theirs], 1e-4)


@pytest.mark.parametrize("wrong", ["beam_size", "max_length", "batch_size"])
def test_sizes_below_one_are_errors(subwords, chain, plan, wrong):
    with pytest.raises(ValueError, match=f"{wrong} must be at least 1, got 0"):
        Translator(chain, plan, subwords, **{wrong: 0})


@pytest.mark.parametrize("counts", [(9,), (4, 5), (2, 5, 2)])
def test_a_checkpoint_loads_onto_any_contexts(tmp_path, subwords, counts):
    size = len(subwords.src_vocab)
    sizes = ModelOptions(size, size, True, 8, 6, 2, 2, 0.0)
    chain = translation_chain(sizes)
    values = random_values(chain)
    with pipelined(chain, values, None, (4, 5), 1) as pipe:
        checkpoint.save(tmp_path, "best", 1, pipe, Trainer(pipe, "adam"), {"model": vars(sizes)}, subwords)
    contexts = CONTEXTS[:len(counts)]
    chain, plan, loaded = load(tmp_path, contexts, ",".join(map(str, counts)))
    actual = {n: p.data(p.list_ctx()[0]).asnumpy() for n, p in chain._collect_params_with_prefix().items()}
    assert_same(actual, values, rtol=0, atol=0)
    assert plan == Plan(counts, tuple(contexts)) and loaded.models == subwords.models
    assert {ctx for p in chain.collect_params().values() for ctx in p.list_ctx()} == set(contexts)


@pytest.mark.parametrize("counts", [(11,), (4, 7), (5, 2, 4)])
def test_steps_give_the_log_probabilities_of_the_training_pass(counts):
    data, _, _ = batch()
    chain = translation_chain(OPTIONS)
    with pipelined(chain, random_values(chain), None, counts, 1) as pipe:
        logits = pipe(data)
        expected = mx.nd.log_softmax(logits).asnumpy()  # (T, N, V)
        decoder = StepDecoder(chain, pipe.plan)
        states = decoder.encode(*data[:2])
        for step in range(data[2].shape[1]):
            tokens = data[2][:, step].as_in_context(decoder.context)
            log_probs, states = decoder(tokens, states)
            np.testing.assert_allclose(log_probs.asnumpy(), expected[step], 1e-5, 1e-5)


def test_beams_of_a_sentence_attend_to_their_own_source():
    data, _, _ = batch(rows=3)
    chain = translation_chain(ModelOptions(23, 23, True, 8, 6, 2, 2, 0.0))
    with pipelined(chain, random_values(chain), None, (4, 5), 1) as pipe:
        decoder = StepDecoder(chain, pipe.plan)
        tokens = data[2][:, 0].as_in_context(CONTEXTS[1])
        single, _ = decoder(tokens, decoder.encode(*data[:2]))
        states = [state.repeat(4, axis=0) for state in decoder.encode(*data[:2])]  # sentence by sentence
        beams, _ = decoder(tokens.repeat(4, axis=0), states)
    np.testing.assert_allclose(beams.asnumpy(), single.asnumpy().repeat(4, axis=0), 1e-5, 1e-6)
