"""Gluon's CTCLoss as the recognizer calls it, against all paths: values, gradients, and its conventions."""
import mxnet as mx
import numpy as np
import pytest
from helpers.brute_ctc import labellings

SYMBOLS, NUM_FRAMES = [[0, 1], [1, 1], [0], [1, 0, 1]], [5, 4, 3, 5]
SCORES = 1.5 * np.random.RandomState(0).normal(size=(4, 5, 3))


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def brute(scores):
    """Each sequence's loss, from its own frames only; the last class is the blank."""
    return np.array([-np.log(labellings(log_softmax(row[:length]))[tuple(symbols)])
                     for row, length, symbols in zip(scores, NUM_FRAMES, SYMBOLS)])


def labels(dtype="float32", padding=-1):
    symbols = np.full((4, 3), padding)
    for row, own in zip(symbols, SYMBOLS):
        row[:len(own)] = own
    return [mx.nd.array(array, dtype=dtype) for array in (symbols, NUM_FRAMES, [len(s) for s in SYMBOLS])]


@pytest.mark.parametrize("padding", [-1, 0])  # with the lengths given, what lies behind them does not matter
def test_it_is_the_negative_logarithm_of_the_probability_of_all_paths(padding):
    loss = mx.gluon.loss.CTCLoss()
    loss.hybridize()
    actual = loss(mx.nd.array(SCORES), *labels(padding=padding)).asnumpy()
    np.testing.assert_allclose(actual, brute(SCORES), rtol=1e-5)


def test_its_gradient_is_right_for_every_row_and_zero_in_the_padding():
    scores, weights = mx.nd.array(SCORES), np.array([1.0, 2, 3, 4])
    scores.attach_grad()
    with mx.autograd.record():
        total = (mx.gluon.loss.CTCLoss()(scores, *labels()) * mx.nd.array(weights)).sum()
    total.backward()
    expected = np.zeros_like(SCORES)
    for index in np.ndindex(SCORES.shape):
        step = np.zeros_like(SCORES)
        step[index] = 1e-5
        expected[index] = weights @ (brute(SCORES + step) - brute(SCORES - step)) / 2e-5
    np.testing.assert_allclose(scores.grad.asnumpy(), expected, rtol=1e-4, atol=1e-5)
    assert not scores.grad.asnumpy()[2, 3:].any()


def test_without_any_path_it_is_zero_which_is_why_samples_are_checked():
    impossible = mx.gluon.loss.CTCLoss()(mx.nd.array(SCORES[:1, :2]), mx.nd.array([[1, 1]]), mx.nd.array([2]),
                                         mx.nd.array([2]))
    assert impossible.asscalar() == 0


def test_it_takes_no_integers_which_is_why_batches_are_all_of_floats():
    with pytest.raises(mx.MXNetError, match="type"):
        mx.gluon.loss.CTCLoss()(mx.nd.array(SCORES), *labels("int32")).asnumpy()
