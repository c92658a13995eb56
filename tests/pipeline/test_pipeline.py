"""The pipeline against plain Gluon on one context: loss and every parameter's gradient."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, lstm_chain, pipelined, plain, random_values, set_values
from mxnet import gluon

from mxmp import Pipeline, Plan, Trainer
from mxmp.nn import Chain, LSTMLayer, Select, TimeFirst


def batch(rows=8):
    rng = np.random.RandomState(1)
    return mx.nd.array(rng.randn(rows, 4, 5)), mx.nd.array(rng.randn(rows, 4, 3))


@pytest.mark.parametrize("microbatches", [1, 2, 3, 8])
@pytest.mark.parametrize("counts", [(6,), (3, 3), (1, 5), (2, 3, 1), (1, 2, 2, 1)])
def test_loss_and_every_gradient_equal_plain_gluon(counts, microbatches):
    x, y = batch()
    values, loss = random_values(lstm_chain()), gluon.loss.L2Loss()
    expected_loss, expected = plain(lstm_chain(), values, loss, [x], [y])
    chain = lstm_chain()
    with pipelined(chain, values, loss, counts, microbatches) as pipe:
        actual = pipe.forward_backward(x, y)
        np.testing.assert_allclose(actual.asnumpy(), expected_loss, 1e-5)
        assert_same(gradients(chain), expected)


def test_gradients_do_not_pile_up_over_steps():
    x, y = batch()
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 2) as pipe:
        pipe.forward_backward(x, y)
        first = gradients(chain)
        pipe.forward_backward(x, y)
        assert_same(gradients(chain), first)


def test_an_uneven_and_a_small_batch_are_cut_into_nearly_equal_parts():
    loss = gluon.loss.L2Loss()
    for rows in (7, 3, 1):
        x, y = batch(rows)
        values = random_values(lstm_chain())
        _, expected = plain(lstm_chain(), values, loss, [x], [y])
        chain = lstm_chain()
        with pipelined(chain, values, loss, (3, 3), 4) as pipe:
            pipe.forward_backward(x, y)
            assert_same(gradients(chain), expected)


@pytest.mark.parametrize("schedule, chunks", [("fill_drain", 1), ("1f1b", 1), ("1f1b", 2), ("wavefront", 3)])
def test_batches_of_other_lengths_and_sizes_may_follow_each_other(schedule, chunks):
    values, loss, rng = random_values(lstm_chain()), gluon.loss.L2Loss(), np.random.RandomState(2)
    chain = lstm_chain()
    with pipelined(chain, values, loss, (2, 1, 3), 3, schedule=schedule, num_chunks=chunks) as pipe:
        for rows, length in ((8, 4), (8, 9), (5, 2), (2, 7), (8, 4)):
            x, y = mx.nd.array(rng.randn(rows, length, 5)), mx.nd.array(rng.randn(rows, length, 3))
            expected_loss, expected = plain(lstm_chain(), values, loss, [x], [y])
            np.testing.assert_allclose(pipe.forward_backward(x, y).asnumpy(), expected_loss, 1e-5)
            assert_same(gradients(chain), expected)


@pytest.mark.parametrize("schedule", ["fill_drain", "1f1b", "wavefront"])
def test_evaluating_before_the_first_step_and_between_steps_changes_no_gradient(schedule):
    x, y = batch()
    values, loss = random_values(lstm_chain()), gluon.loss.L2Loss()
    _, expected = plain(lstm_chain(), values, loss, [x], [y])
    chain = lstm_chain()
    with pipelined(chain, values, loss, (3, 3), 4, schedule=schedule) as pipe:
        for _ in range(2):
            pipe(x[:3])
            pipe.forward_backward(x, y)
            assert_same(gradients(chain), expected)


def test_stages_hold_their_own_parameters_only():
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), None, (2, 4), 1) as pipe:
        for stage in pipe.stages:
            assert {ctx for p in stage.contexts for ctx in p.list_ctx()} == {stage.context}
        assert sum(len(stage.contexts) for stage in pipe.stages) == len(chain.collect_params().keys())


class Shared(gluon.nn.Sequential):
    """Two Dense layers with one weight, which then has a copy on each of their contexts."""

    def __init__(self):
        super().__init__()
        first = gluon.nn.Dense(5, flatten=False, in_units=5)
        self.add(first, gluon.nn.Dense(5, flatten=False, in_units=5, params=first.params))


def test_copies_of_a_shared_parameter_have_gradients_that_add_up_to_plain_gluons():
    x, y = batch()[0], mx.nd.zeros((8, 4, 5))
    values, loss = random_values(Shared()), gluon.loss.L2Loss()
    _, expected = plain(Shared(), values, loss, [x], [y])
    chain = Shared()
    with pipelined(chain, values, loss, (1, 1), 2) as pipe:
        pipe.forward_backward(x, y)
        assert len(chain[0].weight.list_ctx()) == 2
        assert_same(gradients(chain), expected)


class Multiply(gluon.HybridBlock):
    """Takes a new array and one that was carried along: the latter's gradient arrives from two places."""

    def hybrid_forward(self, F, x, carried):
        return x * carried


@pytest.mark.parametrize("microbatches", [1, 2, 5])
@pytest.mark.parametrize("schedule", ["fill_drain", "1f1b", "wavefront"])
def test_an_array_that_a_stage_only_carries_gets_its_gradient(schedule, microbatches):
    def build():
        chain = Chain()
        dense = [gluon.nn.Dense(5, flatten=False, in_units=5, activation="tanh") for _ in range(3)]
        chain.add(dense[0], Select(dense[1], (0,), (0,)), Select(dense[2], (0,), (1,)),
                  Select(Multiply(), (0, 1)))
        return chain

    x, y = batch()[0], mx.nd.zeros((8, 4, 5))
    values, loss = random_values(build()), gluon.loss.L2Loss()
    _, expected = plain(build(), values, loss, [x], [y])
    chain = build()
    with pipelined(chain, values, loss, (2, 1, 1), microbatches, schedule=schedule) as pipe:
        pipe.forward_backward(x, y)
        assert_same(gradients(chain), expected)


def test_input_sizes_may_be_left_to_the_first_batch():
    x, y = batch()

    def build(**size):
        chain = Chain()
        chain.add(TimeFirst(), gluon.rnn.LSTM(5, **size), LSTMLayer(4, **size and {"input_size": 5}), TimeFirst(),
                  gluon.nn.Dense(3, flatten=False, in_units=4 if size else 0))
        return chain

    values, loss = random_values(build(input_size=5)), gluon.loss.L2Loss()
    _, expected = plain(build(input_size=5), values, loss, [x], [y])
    chain = build()
    with Pipeline(chain, Plan((2, 3), CONTEXTS[:2]), loss, 4) as pipe:
        pipe.initialize()
        trainer = Trainer(pipe, "sgd", {"learning_rate": 0.1})
        pipe.forward_backward(x, y)
        trainer.step(8)
        set_values(chain, values)
        pipe.forward_backward(x, y)
        assert_same(gradients(chain), expected)


def test_forward_only_returns_outputs_in_prediction_mode():
    x, _ = batch()
    chain = lstm_chain()
    chain.add(gluon.nn.Dropout(0.9))
    values = random_values(chain)
    with pipelined(chain, values, None, (3, 4), 4) as pipe:
        outputs = pipe(x).asnumpy()
    reference = lstm_chain()
    reference.initialize()
    set_values(reference, values)
    np.testing.assert_allclose(outputs, reference(x).asnumpy(), 1e-5, 1e-6)


def test_a_file_of_parameters_loads_under_another_plan_and_into_the_plain_chain(tmp_path):
    x, _ = batch()
    chain, path = lstm_chain(), str(tmp_path / "chain.params")
    with pipelined(chain, random_values(chain), None, (3, 3), 1) as pipe:
        pipe.save_parameters(path)
        expected = pipe(x)
    with Pipeline(lstm_chain(), Plan((2, 2, 2), CONTEXTS[:3])) as other:
        other.load_parameters(path)
        out = other(x)
    np.testing.assert_array_equal(out.asnumpy(), expected.asnumpy())
    reference = lstm_chain()
    reference.load_parameters(path)
    np.testing.assert_allclose(reference(x).asnumpy(), expected.asnumpy(), 1e-5, 1e-6)


def test_parameters_that_are_there_already_move_to_their_contexts():
    x, _ = batch()
    chain = lstm_chain()
    chain.initialize()
    expected = chain(x).asnumpy()
    with Pipeline(chain, Plan((3, 3), CONTEXTS[:2])) as pipe:
        out = pipe(x)
    np.testing.assert_allclose(out.asnumpy(), expected, 1e-5, 1e-6)


def test_initial_values_do_not_depend_on_the_plan():
    drawn = []
    for counts in ((6,), (2, 4)):
        chain = lstm_chain()
        mx.random.seed(5)
        with Pipeline(chain, Plan(counts, CONTEXTS[:len(counts)])) as pipe:
            pipe.initialize()
            drawn.append({n: p.data(p.list_ctx()[0]).asnumpy()
                          for n, p in chain._collect_params_with_prefix().items()})
    assert_same(*drawn, rtol=0, atol=0)


def test_a_seed_fixes_dropout_and_another_one_changes_it():
    x, y = batch()
    chain = gluon.nn.Sequential()
    chain.add(gluon.nn.Dense(3, flatten=False, in_units=5), gluon.nn.Dropout(0.5), gluon.nn.Dropout(0.5))
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (2, 1), 2) as pipe:
        losses = []
        for seed in (1, 1, 2):
            pipe.seed(seed)
            losses.append(float(pipe.forward_backward(x, y).asscalar()))
    assert losses[0] == losses[1] != losses[2]
