"""What a pipeline refuses when it is made, and what two pipelines of one chain may share."""
import gc

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, lstm_chain, pipelined, random_values, set_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.nn import Chain, LSTMLayer

TWO = CONTEXTS[:2]


def dense():
    return [gluon.nn.Dense(3, in_units=3), gluon.nn.Dense(3, in_units=3)]


@pytest.mark.parametrize("option, value, said", [
    ("loss", [gluon.loss.L2Loss()], r"the loss must be callable, got \[L2Loss.*that returns their sum, row by row"),
    ("loss", "l2", "the loss must be callable, got 'l2'"),
    ("num_microbatches", 0, "num_microbatches must be at least 1, got 0"),
    ("num_chunks", -1, "num_chunks must be at least 1, got -1"),
    ("schedule", "gpipe", "unknown schedule 'gpipe'; choose one of '1f1b', 'fill_drain', 'wavefront'"),
    ("layout", "NCT", "unknown layout 'NCT'; choose one of 'NTC', 'TNC'"),
    ("reduction", "max", "unknown reduction 'max'; choose one of 'sum', 'mean'")])
def test_options_that_are_none_are_named(option, value, said):
    with pytest.raises(ValueError, match=said):
        Pipeline(dense(), Plan((1, 1), TWO), **{option: value})


@pytest.mark.parametrize("plan", [(1, 1), "1,1", None, TWO])
def test_what_is_no_plan_is_refused_with_an_example(plan):
    with pytest.raises(ValueError, match=r"a pipeline needs a Plan, got .*write Plan\(\(2, 1\), \(mx.gpu"):
        Pipeline(dense(), plan)


@pytest.mark.parametrize("place", [0, 1])
def test_sparse_gradients_are_refused_when_the_pipeline_is_made(place):
    layers = [gluon.nn.Embedding(9, 3, sparse_grad=i == place) for i in range(2)]
    with pytest.raises(ValueError, match="parameter embedding.*_weight is sparse.*use sparse_grad=False"):
        Pipeline(layers, Plan((1, 1), TWO))


def test_pipelines_with_one_plan_share_a_chain():
    chain, loss = lstm_chain(), gluon.loss.L2Loss()
    rng = np.random.RandomState(1)
    x, y = mx.nd.array(rng.randn(8, 4, 5)), mx.nd.array(rng.randn(8, 4, 3))
    with pipelined(chain, random_values(chain), loss, (3, 3), 4) as pipe, \
            Pipeline(chain, Plan((3, 3), TWO), loss, 2) as evaluation:
        expected = pipe.forward_backward(x, y).asscalar()
        grads = gradients(chain)
        for _ in range(2):
            np.testing.assert_allclose(evaluation(x, y).asscalar(), expected, 1e-6)
            assert pipe.forward_backward(x, y).asscalar() == expected
            assert_same(gradients(chain), grads, 0, 0)


def test_pipelines_of_one_chain_may_carry_states_or_not():
    def build():
        chain = Chain()
        chain.add(gluon.rnn.LSTM(4, input_size=4), gluon.rnn.LSTM(4, input_size=4))
        return chain

    rng = np.random.RandomState(1)
    x, y, chain, plain = mx.nd.array(rng.randn(6, 3, 4)), mx.nd.zeros((6, 3, 4)), build(), build()
    loss = gluon.loss.L2Loss(batch_axis=1)
    plain.initialize()
    values = random_values(plain)
    set_values(plain, values)
    with autograd.record():
        total = loss(plain(x), y).sum()
    total.backward()
    with pipelined(chain, values, loss, (1, 1), num_chunks=3, layout="TNC") as pipe, \
            Pipeline(chain, Plan((1, 1), TWO), layout="TNC") as evaluation:
        for _ in range(2):
            pipe.forward_backward(x, y)
            assert_same(gradients(chain), gradients(plain))
            np.testing.assert_allclose(evaluation(x).asnumpy(), plain(x).asnumpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("initialized", [False, True])
def test_another_plan_for_the_layers_of_an_open_pipeline_is_refused_at_once(initialized):
    chain, x = lstm_chain(), mx.nd.ones((8, 4, 5))
    pipe = Pipeline(chain, Plan((3, 3), TWO))
    if initialized:
        pipe.initialize()
    with pytest.raises(ValueError, match=r"belongs to an open pipeline with the plan 3,3.*is on cpu\(0\) and not on "
                                         r"cpu\(1\); give both the same plan, or close\(\) that one first"):
        Pipeline(chain, Plan((2, 4), TWO))
    pipe.initialize(force_reinit=initialized)
    expected = pipe(x).asnumpy()
    pipe.close()
    with Pipeline(chain, Plan((2, 4), TWO)) as other:
        np.testing.assert_allclose(other(x).asnumpy(), expected, 1e-5, 1e-6)


def test_a_pipeline_that_nobody_has_any_more_claims_nothing():
    chain = lstm_chain()
    Pipeline(chain, Plan((3, 3), TWO))
    gc.collect()
    Pipeline(chain, Plan((2, 4), TWO)).close()


class OnlyImperative(gluon.HybridBlock):
    """Looks at its input's shape, which a symbol has not."""

    def hybrid_forward(self, F, x):
        return x * x.shape[1]


def test_a_block_that_cannot_be_hybridized_runs_as_it_is():
    x, y = mx.nd.ones((4, 3)), mx.nd.zeros((4, 3))
    with Pipeline([*dense(), OnlyImperative()], Plan((1, 2), TWO), gluon.loss.L2Loss(), 2) as pipe:
        pipe.initialize(mx.init.One())
        with pytest.raises(AttributeError, match=r"layer '2'.*Pipeline\(hybridize=False\)"):
            pipe.forward_backward(x, y)
    with Pipeline(pipe.chain, Plan((1, 2), TWO), gluon.loss.L2Loss(), 2, hybridize=False) as pipe:
        for block in pipe.chain:
            block.hybridize(False)
        assert pipe.forward_backward(x, y).asscalar() == 4 * 0.5 * 27 ** 2


def test_a_users_own_hybridization_stays():
    layers = [gluon.nn.Dense(3, in_units=3), gluon.nn.HybridSequential(), LSTMLayer(3, input_size=3)]
    layers[1].add(gluon.nn.Dense(3, in_units=3, flatten=False))
    layers[0].hybridize(static_alloc=True, inline_limit=7)
    layers[1][0].hybridize(inline_limit=9)
    flags = [dict(layer._flags) for layer in (layers[0], layers[1][0])]
    with Pipeline(layers[:2], Plan((1, 1), TWO)) as pipe:
        pipe.initialize()
        pipe(mx.nd.ones((4, 3)))
    assert [dict(layer._flags) for layer in (layers[0], layers[1][0])] == flags
    assert layers[0]._active and layers[1][0]._active and not layers[1]._active
    with Pipeline(layers[2:], Plan((1,), TWO[:1]), layout="TNC") as pipe:
        pipe.initialize()
        pipe(mx.nd.ones((2, 4, 3)))
    assert layers[2]._active
    with Pipeline(dense(), Plan((1, 1), TWO), hybridize=False) as pipe:
        pipe.initialize()
        pipe(mx.nd.ones((4, 3)))
        assert not any(layer._active for layer in pipe.chain)
