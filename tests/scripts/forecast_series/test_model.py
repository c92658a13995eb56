"""The forecaster on two contexts is the chain on one: loss and every gradient."""
import mxnet as mx
import numpy as np
import pytest
from forecast_series.model import LastSteps, SeriesInput, series_chain
from helpers.stacks import assert_same, gradients, pipelined, plain, random_values


def batch(rows=6, steps=9, width=3, horizon=4):
    rng = np.random.RandomState(0)
    data = mx.nd.array(rng.normal(size=(rows, steps, width))), mx.nd.array(rng.randint(0, 5, rows))
    return data, (mx.nd.array(rng.normal(size=(rows, horizon, 1))),)


def build():
    return series_chain(5, 3, 4, hidden_size=6, num_layers=3)


@pytest.mark.parametrize("schedule", ["1f1b", "fill_drain"])
@pytest.mark.parametrize("counts, microbatches", [((2, 4), 1), ((3, 3), 4), ((1, 2, 3), 3)])
def test_loss_and_gradients_are_those_of_one_context(counts, microbatches, schedule):
    data, label = batch()
    one, loss = build(), mx.gluon.loss.L1Loss()
    values = random_values(one)
    expected, expected_gradients = plain(one, values, loss, data, label)
    with pipelined(build(), values, loss, counts, microbatches, schedule=schedule) as pipe:
        actual = pipe.forward_backward(data, label)
        np.testing.assert_allclose(actual.asnumpy(), expected, rtol=1e-5)
        assert_same(gradients(pipe.chain), expected_gradients)
        np.testing.assert_allclose(pipe(data).asnumpy(), one(*data).asnumpy(), rtol=1e-5, atol=1e-6)


def test_the_input_adds_the_series_own_vector_to_what_the_step_says():
    block = SeriesInput(4, 2, 3)
    block.initialize()
    steps, series = mx.nd.random.normal(shape=(2, 5, 3)), mx.nd.array([3, 1])
    weight, bias, table = (p.data().asnumpy() for p in
                           (block.steps.weight, block.steps.bias, block.series.weight))
    expected = steps.asnumpy() @ weight.T + bias + table[[3, 1]][:, None]
    np.testing.assert_allclose(block(steps, series).asnumpy(), expected.swapaxes(0, 1), rtol=1e-5, atol=1e-6)


def test_the_last_steps_come_batch_first():
    data = mx.nd.arange(24).reshape((4, 3, 2))
    np.testing.assert_array_equal(LastSteps(2)(data).asnumpy(), data.asnumpy()[-2:].swapaxes(0, 1))


def test_the_forecast_of_a_step_depends_on_what_is_known_of_it_and_of_all_before():
    chain = build()
    chain.initialize(mx.init.Normal(0.5))
    (steps, series), _ = batch()
    before = chain(steps, series).asnumpy()
    changed = steps.copy()
    changed[:, 6] += 1  # the second step of the horizon
    differs = np.abs(chain(changed, series).asnumpy() - before).max(axis=(0, 2)) > 1e-6
    assert differs.tolist() == [False, True, True, True]
