"""Arrays without a gradient that several micro-batches use while they are in flight.

MXNet's backward pass forgets the graph that it went through, and with it such an array's part in other graphs ("The
any container is empty"): frozen parameters, running statistics, and arrays that a block or a loss holds itself.
"""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, pipelined, random_values, set_values
from mxnet import autograd, gluon

COUNTS = (1, 1, 1)
cuts = pytest.mark.parametrize("schedule, microbatches, chunks", [
    ("1f1b", 4, 1), ("fill_drain", 4, 1), ("wavefront", 1, 3), ("wavefront", 3, 2)])


def dense():
    return gluon.nn.Dense(4, flatten=False, in_units=4)


class Weighted(gluon.Block):
    """A block that multiplies by an array of its own."""

    def __init__(self, context):
        super().__init__()
        self.weights = mx.nd.array([[[1, 2, 3, 4]]], ctx=context)

    def forward(self, data):
        return data * self.weights


def weighted_loss(context):
    weights = mx.nd.array([[[4, 3, 2, 1]]], ctx=context)
    return lambda outputs, labels: (outputs - labels).square() * weights


def chain_around(middle):
    chain = gluon.nn.Sequential()
    chain.add(dense(), middle, dense())
    return chain


def batch():
    rng = np.random.RandomState(0)
    return mx.nd.array(rng.randn(8, 6, 4)), mx.nd.array(rng.randn(8, 6, 4))


def assert_exact(build, losses, frozen, schedule, microbatches, chunks):
    """All gradients but the frozen layers' are plain Gluon's; ``build`` and ``losses`` take a context."""
    (data, labels), (plain, chain) = batch(), (build(context) for context in (CONTEXTS[0], CONTEXTS[1]))
    values = random_values(plain)
    plain.initialize()
    set_values(plain, values)
    with autograd.record():
        total = losses(CONTEXTS[0])(plain(data), labels).sum()
    total.backward()
    with pipelined(chain, values, losses(CONTEXTS[2]), COUNTS, microbatches, num_chunks=chunks,
                   schedule=schedule) as pipe:
        for i in frozen:
            chain[i].collect_params().setattr("grad_req", "null")
        np.testing.assert_allclose(pipe.forward_backward(data, labels).asnumpy(), total.asnumpy(), 1e-5)
    for i in {0, 1, 2} - set(frozen):
        assert_same(gradients(chain[i]), gradients(plain[i]))


def l2_loss(_):
    return gluon.loss.L2Loss()


@cuts
@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (1, 2)])
def test_frozen_layers_let_gradients_through(frozen, schedule, microbatches, chunks):
    assert_exact(lambda context: chain_around(dense()), l2_loss, frozen, schedule, microbatches, chunks)


@cuts
def test_a_block_may_hold_arrays_of_its_own(schedule, microbatches, chunks):
    assert_exact(lambda context: chain_around(Weighted(context)), l2_loss, (), schedule, microbatches, chunks)


@cuts
def test_a_loss_may_hold_arrays_of_its_own(schedule, microbatches, chunks):
    assert_exact(lambda context: chain_around(dense()), weighted_loss, (), schedule, microbatches, chunks)


@cuts
def test_running_statistics_are_updated_by_every_microbatch(schedule, microbatches, chunks):
    chain = chain_around(gluon.nn.BatchNorm(axis=2, in_channels=4))
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), COUNTS, microbatches, num_chunks=chunks,
                   schedule=schedule) as pipe:
        before = chain[1].running_mean.data(CONTEXTS[1]).asnumpy()
        pipe.forward_backward(*batch()).wait_to_read()
        assert np.abs(chain[1].running_mean.data(CONTEXTS[1]).asnumpy() - before).min() > 0
