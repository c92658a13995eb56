"""Recomputation: the same bits as without, of every gradient, loss, state and running statistic."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import assert_same, gradients, pipelined, random_values
from mxnet import autograd, gluon

from mxmp.nn import BidirectionalLSTM, Chain, LSTMLayer

CUTS = [(1, 1), (4, 1), (1, 3), (3, 2)]
cuts = pytest.mark.parametrize("microbatches, chunks", CUTS)
schedules = pytest.mark.parametrize("schedule", ["fill_drain", "1f1b", "wavefront"])
each = pytest.mark.parametrize("recompute", [True, (True, False, True), (False, True, False)])


def stack(dropout=0.3):
    """Layers that drop out in every stage, with a mask for each number and with one for all steps."""
    chain = Chain()
    chain.add(LSTMLayer(4, dropout, input_size=4), gluon.nn.Dropout(dropout), gluon.rnn.LSTM(4, input_size=4),
              LSTMLayer(4, dropout, input_size=4), gluon.nn.Dense(3, flatten=False, in_units=4))
    return chain


def step(chain, recompute, schedule="fill_drain", microbatches=4, chunks=1, loss=None, counts=(2, 1, 2), steps=2,
         states=True, **options):
    """All that some steps give: losses, states, the gradients of inputs and parameters, running statistics."""
    rng, found = np.random.RandomState(0), {}
    data, labels = mx.nd.array(rng.randn(6, 7, 4)), mx.nd.array(rng.randn(6, 7, 3))
    data.attach_grad()
    with pipelined(chain, random_values(chain), loss or gluon.loss.L2Loss(batch_axis=1), counts, microbatches,
                   num_chunks=chunks, schedule=schedule, layout="TNC", recompute=recompute, **options) as pipe:
        before = pipe.begin_state(7) if states else None
        for i in range(steps):
            pipe.seed(5, i)
            out = pipe.forward_backward(data, labels, before)
            out, before = out if states else (out, None)
            found.update({f"{i} {name}": grad for name, grad in gradients_of(chain).items()})
            found.update({f"{i} loss": out.asnumpy(), f"{i} input": data.grad.asnumpy()})
            found.update({f"{i} state {j} {k}": array.asnumpy() for j, layer in enumerate(before or ())
                          for k, array in enumerate(layer)})
    return found


def gradients_of(chain):
    """Gradients, or the values of parameters without."""
    return {name: sum(a.asnumpy() for a in (p.list_grad() if p.grad_req != "null" else p.list_data()))
            for name, p in chain._collect_params_with_prefix().items()}


def assert_equal(build, recompute=True, *args, **options):
    expected, actual = (step(build(), again, *args, **options) for again in (False, recompute))
    assert_same(actual, expected, rtol=0, atol=0)
    return expected


@each
@cuts
@schedules
def test_all_is_the_same_bits(schedule, microbatches, chunks, recompute):
    assert_equal(stack, recompute, schedule, microbatches, chunks)


@schedules
def test_of_blocks_that_are_not_hybridized(schedule):
    assert_equal(stack, True, schedule, hybridize=False)
