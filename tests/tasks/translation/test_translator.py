"""Beam search over a trained chain, and one decoding step of it."""
import itertools
import math

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import assert_same, pipelined, random_values
from helpers.tiny import CONTEXTS, OPTIONS, batch

from mxmp import Plan, Trainer
from mxmp.data import BOS_ID, EOS_ID, ParallelText, Subwords
from mxmp.tasks import checkpoint
from mxmp.tasks.translation import translator
from mxmp.tasks.translation.model import ModelOptions, translation_chain
from mxmp.tasks.translation.options import Options
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
    best = Translator(chain, plan, subwords, 1, beam_size=size, lp_alpha=alpha)(["ab ba"])[0][0]
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
    best = Translator(chain, plan, subwords, 6, beam_size=1)(["ba ab"])[0][0]
    assert best.text == subwords.decode_tgt(tokens)


@pytest.mark.parametrize("batch_size", [2, 3, 64])
@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_a_translation_depends_on_no_other_sentence_nor_on_the_order(subwords, chain, plan, batch_size, alpha):
    sentences = ["ab", "", "ab ba ab ba b a ab ab ba", "ba", "   ", "b a b", "a"]
    (alone,) = zip(*(Translator(chain, plan, subwords, 40, 3, alpha)([sentence]) for sentence in sentences))
    translate = Translator(chain, plan, subwords, 40, 3, alpha, batch_size)
    order = [3, 2, 6, 0, 1, 5, 4]
    for together in (translate(sentences), sorted(zip(order, translate([sentences[i] for i in order])))):
        for ours, theirs in itertools.zip_longest(alone, together):
            theirs = theirs[1] if isinstance(theirs, tuple) else theirs
            assert [h.text for h in ours] == [h.text for h in theirs]
            np.testing.assert_allclose([h.score for h in ours], [h.score for h in theirs], 1e-4)
    assert alone[1] == alone[4] == [("", 0.0)] and len({hypotheses[0].text for hypotheses in alone}) > 3


class Told:
    """Stands in for `StepDecoder`: the log probabilities (V,) of each step's token are told, the last one's for ever,
    whatever source and tokens are; ``shapes`` are those of the sources."""

    def __init__(self, steps):
        self.steps, self.context, self.shapes = mx.nd.array(steps), mx.cpu(), []

    def encode(self, src, src_len):
        self.shapes.append(src.shape)
        return [mx.nd.zeros((len(src), 1))]

    def __call__(self, tokens, states):
        return mx.nd.take(self.steps, states[0][:, 0]), [states[0] + 1]


def told(monkeypatch, subwords, steps, *options):
    """A translator whose decoder says the tokens of ``steps``, {token: probability} each."""
    rows = np.full((len(steps), len(subwords.tgt_vocab)), -1e9)
    for row, probs in zip(rows, steps):
        for token, prob in probs.items():
            row[token] = np.log(prob)
    decoder = Told(rows)
    monkeypatch.setattr(translator, "StepDecoder", lambda chain, plan: decoder)
    return Translator(None, None, subwords, *options), decoder


def test_a_short_source_has_as_long_a_translation_as_max_length_allows(monkeypatch, subwords):
    (tokens,) = subwords.encode_tgt(["ab ba b a " * 10])
    steps = [{token: 0.9, EOS_ID: 0.1} for token in tokens] + [{EOS_ID: 1.0}]
    for longest, expected in ((len(tokens), tokens), (len(tokens) - 3, tokens[:-3])):
        translate, _ = told(monkeypatch, subwords, steps, longest, 1)
        for sentences in (["a"], ["a", "ab ba " * 9]):
            assert {best.text for best, *_ in translate(sentences)} == {subwords.decode_tgt(expected)}


@pytest.mark.parametrize("neighbour", [[], ["ab " * 30]])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 1.5, 3.0])
def test_a_loop_gets_no_better_beyond_its_sources_share(monkeypatch, subwords, alpha, neighbour):
    (token,) = subwords.encode_tgt(["b"])[0][-1:]
    translate, decoder = told(monkeypatch, subwords, [{token: 0.9, EOS_ID: 0.1}], 100, 4, alpha)
    best = translate(["a", *neighbour])[0][0]
    most = 1.5 * (len(subwords.encode_src(["a"])[0]) + 1) + 10

    def value(loops):  # of so many tokens and the end
        return (loops * np.log(0.9) + np.log(0.1)) / ((5 + min(loops + 1, most)) / 6) ** alpha

    loops = max(range(100), key=value)
    assert best.score == pytest.approx(value(loops), rel=1e-5) and loops < most
    assert best.text == subwords.decode_tgt([token] * loops)


def test_one_long_sentence_takes_no_room_for_its_batch(monkeypatch, subwords):
    translate, decoder = told(monkeypatch, subwords, [{EOS_ID: 1.0}], 20, 2, 1.5, 8)
    assert len(translate(["a b"] * 9 + ["a b " * 300] + ["b"] * 9)) == 19
    assert max(rows * length for rows, length in decoder.shapes if rows > 1) <= 8 * 21
    assert [rows for rows, length in decoder.shapes if length > 500] == [1] and len(decoder.shapes) == 4


def test_a_line_of_20000_characters_among_short_ones_costs_what_the_parts_cost_alone(monkeypatch, subwords):
    random = np.random.RandomState(0)
    short = ["ab ba b a " * times for times in random.randint(1, 4, 63)]
    long = ("ab ba b a " * 2000)[:20_000]
    translate, decoder = told(monkeypatch, subwords, [{EOS_ID: 1.0}], 100)
    shapes = []
    for sentences in (short, [long], [*short[:30], long, *short[30:]]):
        decoder.shapes.clear()
        assert len(translate(sentences)) == len(sentences)
        shapes.append([rows * length for rows, length in decoder.shapes])
    assert max(shapes[2]) == max(shapes[0] + shapes[1]) and sum(shapes[2]) <= sum(shapes[0] + shapes[1])


def test_a_long_line_among_short_ones_changes_no_translation(subwords, chain, plan):
    random, long = np.random.RandomState(0), ("ab ba b a " * 2000)[:20_000]
    short = [" ".join(random.choice(["ab", "ba", "a", "b"], random.randint(1, 9))) for _ in range(63)]
    translate = Translator(chain, plan, subwords, 20, 2)
    together = translate([*short[:30], long, *short[30:]])
    alone = translate(short)
    assert [h[0].text for h in together] == [h[0].text for h in alone[:30] + translate([long]) + alone[30:]]
    assert len({h[0].text for h in together}) > 2


@pytest.mark.parametrize("blank", ["\t", "\u00a0", "\u3000", "\u2009 \x85", "\u200b", "\ufeff", "\u00ad"])
def test_a_blank_line_is_translated_to_an_empty_one(subwords, chain, plan, blank):
    texts = [best[0].text for best in Translator(chain, plan, subwords, beam_size=2, max_length=8)(["ab", blank, "ba"])]
    assert texts[1] == "" and texts[0] and texts[2]


def test_hypotheses_are_best_first(subwords, chain, plan):
    for hypotheses in Translator(chain, plan, subwords, 8)(["ab ba", "b"]):
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)


def test_translations_do_not_depend_on_the_contexts(subwords, chain, plan):
    values = {n: p.data(p.list_ctx()[0]).asnumpy() for n, p in chain._collect_params_with_prefix().items()}
    expected = Translator(chain, plan, subwords, 8)(TEXT.src[:3])
    for counts in ((9,), (3, 3, 3)):
        other = translation_chain(ModelOptions(len(subwords.src_vocab), len(subwords.src_vocab), True, 8, 6, 2, 2, 0.0))
        with pipelined(other, values, None, counts, 1) as pipe:
            actual = Translator(other, pipe.plan, subwords, 8)(TEXT.src[:3])
        for ours, theirs in itertools.zip_longest(actual, expected):
            assert [h.text for h in ours] == [h.text for h in theirs]
            np.testing.assert_allclose([h.score for h in ours], [h.score for h in theirs], 1e-4)


@pytest.mark.parametrize("wrong", ["beam_size", "max_length", "batch_size"])
def test_sizes_below_one_are_errors(subwords, chain, plan, wrong):
    with pytest.raises(ValueError, match=f"{wrong} must be at least 1, got 0"):
        Translator(chain, plan, subwords, **{"max_length": 8, wrong: 0})


@pytest.mark.parametrize("alpha", [-0.5, math.nan, math.inf])
def test_an_impossible_length_normalisation_is_an_error(subwords, chain, plan, alpha):
    with pytest.raises(ValueError, match=f"lp_alpha must be at least 0 and finite, got {alpha}"):
        Translator(chain, plan, subwords, 8, lp_alpha=alpha)


@pytest.mark.parametrize("counts", [(9,), (4, 5), (2, 5, 2)])
def test_a_checkpoint_loads_onto_any_contexts(tmp_path, subwords, counts):
    size = len(subwords.src_vocab)
    sizes = ModelOptions(size, size, True, 8, 6, 2, 2, 0.0)
    chain = translation_chain(sizes)
    values = random_values(chain)
    with pipelined(chain, values, None, (4, 5), 1) as pipe:
        checkpoint.save(tmp_path, "best", 1, pipe, Trainer(pipe, "adam"), checkpoint.Description(
            vars(sizes), vars(Options(max_length=30)), "", {}), subwords)
    contexts = CONTEXTS[:len(counts)]
    chain, plan, loaded, max_length = load(tmp_path, contexts, ",".join(map(str, counts)))
    actual = {n: p.data(p.list_ctx()[0]).asnumpy() for n, p in chain._collect_params_with_prefix().items()}
    assert_same(actual, values, rtol=0, atol=0)
    assert plan == Plan(counts, tuple(contexts)) and loaded.models == subwords.models
    assert max_length == 30
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
