"""Gradients of the inputs, and gradients that add up, against plain Gluon."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, pipelined, random_values, set_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.nn import Chain, LSTMLayer, Select, TimeFirst

ROWS, LENGTH, SIZE = 8, 6, 4
CUTS = [((5,), 1, 1), ((2, 3), 8, 1), ((1, 2, 2), 3, 2), ((1, 1, 1, 2), 1, 5)]
cuts = pytest.mark.parametrize("counts, microbatches, chunks", CUTS)


class Scale(gluon.HybridBlock):
    """An array (N, T, C) times one of (N, T)."""

    def hybrid_forward(self, F, data, scale):
        return F.broadcast_mul(data, F.expand_dims(scale, 2))


class Product(gluon.HybridBlock):
    """One array times another."""

    def hybrid_forward(self, F, left, right):
        return left * right


def two_inputs():
    """A chain that takes an array (N, T, C) to recurrent layers, and one of (N, T) past them."""
    chain = Chain()
    chain.add(Select(TimeFirst(), (0,), (1,)), Select(LSTMLayer(SIZE, input_size=SIZE), (0,), (1,)),
              Select(TimeFirst(), (0,), (1,)), Select(Scale(), (0, 1)),
              gluon.nn.Dense(3, flatten=False, in_units=SIZE))
    return chain


def batch():
    rng = np.random.RandomState(6)
    return [mx.nd.array(rng.randn(*shape)) for shape in
            ((ROWS, LENGTH, SIZE), (ROWS, LENGTH), (ROWS, LENGTH, 3))]


def values():
    return {name: 3 * value for name, value in random_values(two_inputs()).items()}


def plain(data, scale, labels, chain=None):
    """A step of plain Gluon, without Chain and Select."""
    if chain is None:
        chain = two_inputs()
        chain.initialize()
        set_values(chain, values())
    with autograd.record():
        hidden = chain[1].block(data.swapaxes(0, 1)).swapaxes(0, 1)
        total = gluon.loss.L2Loss()(chain[4](hidden * scale.expand_dims(2)), labels).sum()
    total.backward()
    return chain


def pipeline(counts, microbatches, chunks):
    return pipelined(two_inputs(), values(), gluon.loss.L2Loss(), counts, microbatches, num_chunks=chunks)


def runs(pipe):
    """`plain`, but in a pipeline."""
    def run(data, scale, labels):
        pipe.forward_backward((data, scale), labels)
        return pipe.chain
    return run


def step(run, wanted):
    """All gradients of one step in which the ``wanted`` inputs, by position, have a gradient attached."""
    data, scale, labels = batch()
    inputs = [data, scale]
    for i in wanted:
        inputs[i].attach_grad()
    chain = run(*inputs, labels)
    assert [array.grad is not None for array in inputs] == [i in wanted for i in (0, 1)]
    return {**gradients(chain), **{f"input {i}": inputs[i].grad.asnumpy() for i in wanted}}


@cuts
@pytest.mark.parametrize("wanted", [(0,), (1,), (0, 1)])
def test_only_the_inputs_that_want_a_gradient_get_one(counts, microbatches, chunks, wanted):
    with pipeline(counts, microbatches, chunks) as pipe:
        assert_same(step(runs(pipe), wanted), step(plain, wanted))


@cuts
def test_inputs_may_want_gradients_in_some_steps_only(counts, microbatches, chunks):
    with pipeline(counts, microbatches, chunks) as pipe:
        for wanted in [(), (0,), (1,), (0, 1), (), (0, 1)]:
            assert_same(step(runs(pipe), wanted), step(plain, wanted))


@cuts
def test_an_inputs_gradients_add_up_over_steps_where_it_says_so(counts, microbatches, chunks):
    found = []
    for run in ("plain", "pipeline"):
        data, scale, labels = batch()
        data.attach_grad(grad_req="add")
        scale.attach_grad(grad_req="write")
        if run == "plain":
            chain = plain(data, scale, labels)
            plain(data, scale, labels, chain)
        else:
            with pipeline(counts, microbatches, chunks) as pipe:
                for _ in range(2):
                    pipe.forward_backward((data, scale), labels)
        found.append({"data": data.grad.asnumpy(), "scale": scale.grad.asnumpy()})
    assert_same(found[1], found[0])


@cuts
def test_an_array_given_as_two_inputs_gets_the_sum_of_both_gradients(counts, microbatches, chunks):
    rng = np.random.RandomState(5)
    data, labels = mx.nd.array(rng.randn(ROWS, LENGTH)), mx.nd.array(rng.randn(ROWS, LENGTH))
    data.attach_grad()
    with autograd.record():
        total = gluon.loss.L2Loss()(data.tanh().tanh().tanh().tanh() * data, labels).sum()
    total.backward()
    expected, chain = data.grad.asnumpy(), Chain()
    chain.add(*[Select(gluon.nn.Lambda("tanh"), (0,), (1,)) for _ in range(4)], Select(Product(), (0, 1)))
    with pipelined(chain, {}, gluon.loss.L2Loss(), counts, microbatches, num_chunks=chunks) as pipe:
        pipe.forward_backward((data, data), labels)
    np.testing.assert_allclose(data.grad.asnumpy(), expected, 1e-5, 1e-6)


@pytest.mark.parametrize("dtype, rtol, atol", [("float32", 1e-5, 1e-6), ("float64", 1e-12, 1e-14)])
def test_gradients_of_eight_microbatches_add_up_as_plain_gluons_do(dtype, rtol, atol):
    rng = np.random.RandomState(7)
    data, labels = (mx.nd.array(rng.randn(LENGTH, ROWS, SIZE), dtype=dtype) for _ in range(2))
    loss, found = gluon.loss.L2Loss(batch_axis=1), []

    def build():
        chain = Chain()
        chain.add(LSTMLayer(SIZE, input_size=SIZE, dtype=dtype), gluon.rnn.LSTM(SIZE, input_size=SIZE, dtype=dtype))
        return chain

    for parts in (1, ROWS):
        chain = build()
        chain.initialize()
        set_values(chain, random_values(chain))
        for parameter in chain.collect_params().values():
            parameter.grad_req = "add"
        for rows in np.split(np.arange(ROWS), parts):
            with autograd.record():
                total = loss(chain(data[:, rows[0]:rows[-1] + 1]), labels[:, rows[0]:rows[-1] + 1]).sum()
            total.backward()
        found.append(gradients(chain))
    chain = build()
    with Pipeline(chain, Plan((1, 1), CONTEXTS[:2]), loss, ROWS, layout="TNC") as pipe:
        pipe.initialize()
        set_values(chain, random_values(chain))
        pipe.forward_backward(data, labels)
        found.append(gradients(chain))
    assert_same(found[1], found[0], rtol, atol)
    assert_same(found[2], found[0], rtol, atol)
