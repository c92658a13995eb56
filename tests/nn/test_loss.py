import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, to_array, trace, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.nn import LabelSmoothedLoss


def by_hand(logits, label, lengths, smoothing):
    """Losses (N,) and the gradient of their sum weighted with trace's head gradients, in numpy."""
    steps, rows, vocab = logits.shape
    head = uniform(rows, seed=200)
    losses, grad = np.zeros(rows), np.zeros(logits.shape)
    for n in range(rows):
        for t in range(lengths[n]):
            target = np.full(vocab, smoothing / vocab)
            target[label[n, t]] += 1 - smoothing
            probs = np.exp(logits[t, n]) / np.exp(logits[t, n]).sum()
            losses[n] -= (target * np.log(probs)).sum()
            grad[t, n] = head[n] * (probs - target)
    return [losses, grad]


@settings(deadline=None, max_examples=30)
@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4), vocab=st.integers(1, 9),
       smoothing=st.sampled_from([0, 0.1, 0.9]), hybridize=st.booleans(), double=st.booleans())
def test_is_cross_entropy_summed_over_the_valid_tokens(lengths, vocab, smoothing, hybridize, double):
    dtype = "float64" if double else "float32"
    loss = LabelSmoothedLoss(smoothing, dtype=dtype)
    if hybridize:
        loss.hybridize()
    logits = 3 * uniform(4, len(lengths), vocab)
    label = np.random.RandomState(0).randint(0, vocab, (len(lengths), 4))
    actual = trace(loss, logits, label, np.array(lengths), dtype=dtype)
    assert all(array.dtype == dtype for array in actual)
    tolerance = 1e-12 if double else 1e-5  # oneDNN's log_softmax is off by 1.4e-6 even for a single logit
    assert_same(actual, by_hand(logits, label, lengths, smoothing), rtol=tolerance, atol=tolerance)


def test_is_gluons_loss_without_smoothing_and_padding():
    logits, label = uniform(4, 3, 7), np.random.RandomState(0).randint(0, 7, (3, 4))
    gluon = mx.gluon.loss.SoftmaxCrossEntropyLoss()  # the mean over a sequence
    assert_same(trace(LabelSmoothedLoss(), logits, label, np.array([4, 4, 4])),
                trace(lambda logits, label: 4 * gluon(logits.transpose((1, 0, 2)), label), logits, label))


@pytest.mark.parametrize("smoothing", [0, 0.1])
def test_padding_counts_nothing_whatever_is_in_it(smoothing):
    loss = LabelSmoothedLoss(smoothing)
    lengths = np.array([4, 1, 3])
    padding = np.arange(4).reshape(-1, 1) >= lengths  # (T, N)
    logits, label = uniform(4, 3, 7), np.random.RandomState(0).randint(0, 7, (3, 4))
    expected = trace(loss, logits, label, lengths)
    assert not (expected[1] * padding[:, :, None]).any()
    actual = trace(loss, np.where(padding[:, :, None], 99.0, logits), np.where(padding.T, 0, label), lengths)
    assert_same(actual, expected, rtol=0, atol=0)


def test_one_hybridized_loss_takes_any_shape_on_any_context():
    loss = LabelSmoothedLoss(0.1)
    loss.hybridize()
    for i, (steps, rows, vocab) in enumerate([(4, 3, 7), (2, 1, 5), (4, 3, 7)]):
        logits, label = uniform(steps, rows, vocab), np.zeros((rows, steps), int)
        lengths = np.full(rows, steps)
        assert_same(trace(loss, logits, label, lengths, ctx=mx.cpu(i % 2)), by_hand(logits, label, lengths, 0.1),
                    atol=1e-5)


def test_labels_and_lengths_may_be_floating_point():
    loss = LabelSmoothedLoss(0.1)
    logits, label, lengths = to_array(uniform(4, 3, 7)), np.ones((3, 4), int), np.array([4, 1, 3])
    expected = loss(logits, to_array(label), to_array(lengths)).asnumpy()
    assert (loss(logits, to_array(1.0 * label), to_array(1.0 * lengths)).asnumpy() == expected).all()


def test_a_label_outside_the_vocabulary_counts_as_the_nearest_inside():
    logits, label, lengths = uniform(4, 3, 7), np.array([[-1, 0, 6, 7], [-9, 3, 100, 6], [1, 2, 3, 4]]), np.full(3, 4)
    assert_same(trace(LabelSmoothedLoss(0.1), logits, label, lengths),
                by_hand(logits, np.clip(label, 0, 6), lengths, 0.1), atol=1e-5)


@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("hybridize", [False, True])
def test_batch_first_logits_and_no_lengths(smoothing, hybridize):
    logits, label, lengths = uniform(4, 3, 7), np.random.RandomState(0).randint(0, 7, (3, 4)), np.array([4, 1, 3])
    for valid in (lengths, None):
        loss = LabelSmoothedLoss(smoothing, layout="NTC")
        if hybridize:
            loss.hybridize()
        losses, grad = by_hand(logits, label, np.full(3, 4) if valid is None else valid, smoothing)
        args = (label,) if valid is None else (label, valid)
        assert_same(trace(loss, logits.swapaxes(0, 1), *args), [losses, grad.swapaxes(0, 1)], atol=1e-5)
        plain = LabelSmoothedLoss(smoothing)
        assert_same(trace(plain, logits, *args), [losses, grad], atol=1e-5)


def test_refuses_an_unknown_layout():
    with pytest.raises(ValueError, match="layout must be 'TNC' or 'NTC', got 'NCT'"):
        LabelSmoothedLoss(layout="NCT")


@pytest.mark.parametrize("smoothing", [-0.1, 1, 1.5, float("nan")])
def test_refuses_a_smoothing_out_of_range(smoothing):
    with pytest.raises(ValueError, match=f"smoothing must be at least 0 and below 1, got {smoothing}"):
        LabelSmoothedLoss(smoothing)
