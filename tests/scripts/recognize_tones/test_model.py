"""The recognizer on two contexts is the chain on one: CTC loss and every gradient; padding does not matter."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import assert_same, gradients, pipelined, plain, random_values
from recognize_tones.model import tones_chain

LOSS = mx.gluon.loss.CTCLoss


def batch():
    rng = np.random.RandomState(0)
    frames, num_frames = rng.normal(size=(5, 8, 6)), np.array([8, 6, 3, 7, 8])
    symbols = np.array([[0, 1, 2], [2, 2, -1], [1, -1, -1], [0, 0, 1], [3, -1, -1]])
    arrays = [mx.nd.array(array) for array in (frames, num_frames, symbols, (symbols >= 0).sum(axis=1))]
    return arrays[:2], [arrays[2], arrays[1], arrays[3]]


def build():
    return tones_chain(5, 6, hidden_size=4, num_layers=2, dropout=0.0)


@pytest.mark.parametrize("schedule", ["1f1b", "fill_drain"])
@pytest.mark.parametrize("counts, microbatches", [((2, 4), 1), ((3, 3), 4), ((1, 2, 3), 2)])
def test_loss_and_gradients_are_those_of_one_context(counts, microbatches, schedule):
    data, label = batch()
    one = build()
    values = random_values(one)
    expected, expected_gradients = plain(one, values, LOSS(), data, label)
    with pipelined(build(), values, LOSS(), counts, microbatches, schedule=schedule) as pipe:
        actual = pipe.forward_backward(data, label)
        np.testing.assert_allclose(actual.asnumpy(), expected, rtol=1e-5)
        assert_same(gradients(pipe.chain), expected_gradients)
        np.testing.assert_allclose(pipe(data).asnumpy(), one(*data).asnumpy(), rtol=1e-5, atol=1e-6)


def test_nothing_of_the_padding_reaches_frames_or_loss():
    (frames, num_frames), label = batch()
    chain = build()
    chain.initialize(mx.init.Normal(0.5))
    padded = mx.nd.concat(frames, 9 * mx.nd.ones((5, 3, 6)), dim=1)
    for row, length in enumerate(num_frames.asnumpy().astype(int)):
        np.testing.assert_allclose(chain(padded, num_frames)[row, :length].asnumpy(),
                                   chain(frames, num_frames)[row, :length].asnumpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(LOSS()(chain(padded, num_frames), *label).asnumpy(),
                               LOSS()(chain(frames, num_frames), *label).asnumpy(), rtol=1e-5)
