"""Blocks, losses and initializers that know nothing of mxmp."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan, Trainer

ROWS, LENGTH, SIZE = 6, 7, 4


class Gate(gluon.Block):
    """A plain block: its forward pass is imperative, and is never traced."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(SIZE,))

    def forward(self, data):
        return data * self.weight.data(data.context).reshape((1, 1, SIZE))


class Decay(gluon.Block):
    """A plain recurrent block: a loop in Python, two states of different shapes, the batch at their front.

    It keeps a decaying sum of its inputs, which it divides by the number of steps so far.
    """

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.rate = self.params.get("rate", shape=(SIZE,))

    def begin_state(self, batch_size, func=mx.nd.zeros, **kwargs):
        return [func(shape=(batch_size, SIZE), **kwargs), func(shape=(batch_size, 1), **kwargs)]

    def forward(self, data, states):
        total, count = states
        rate, outputs = self.rate.data(data.context).sigmoid().reshape((1, SIZE)), []
        for i in range(data.shape[1]):
            total, count = total * rate + data[:, i], count + 1
            outputs.append(total / (1 + count))
        return mx.nd.stack(*outputs, axis=1), [total, count]


class Ramp(mx.init.Initializer):
    """An initializer of a user's own."""

    def _init_weight(self, name, array):
        array[:] = mx.nd.arange(1, array.size + 1).reshape(array.shape) / array.size


def square_of_means(outputs, labels):
    """A loss in plain Python whose value is no sum over steps."""
    return (outputs.mean(axis=1) - labels).square()


def layers():
    return [Gate(), Decay(), gluon.nn.Dense(SIZE, flatten=False, in_units=SIZE, activation="tanh"), Decay(), Gate()]


def batch():
    rng = np.random.RandomState(0)
    return mx.nd.array(rng.randn(ROWS, LENGTH, SIZE)), mx.nd.array(rng.randn(ROWS, SIZE))


def plain_step(chain, data, labels, states):
    """One step of plain Gluon."""
    first, second, third, fourth, last = chain
    with autograd.record():
        hidden, one = second(first(data), states[0])
        hidden, two = fourth(third(hidden), states[1])
        total = square_of_means(last(hidden), labels).sum()
    total.backward()
    return total, [[state.detach() for state in layer] for layer in (one, two)]


@pytest.mark.parametrize("microbatches, chunks", [(1, 1), (3, 1), (1, 3), (4, 5)])
@pytest.mark.parametrize("counts, schedule", [((5,), "1f1b"), ((2, 3), "1f1b"), ((1, 2, 1, 1), "wavefront"),
                                              ((2, 2, 1), "fill_drain")])
def test_blocks_losses_and_initializers_of_ones_own_need_nothing_of_mxmp(counts, schedule, microbatches, chunks):
    data, labels = batch()
    plain, piped = layers(), layers()
    for layer in plain:
        layer.initialize(Ramp())
    trainer = gluon.Trainer([p for layer in plain for p in layer.collect_params().values()], "adam")
    with Pipeline(piped, Plan(counts, CONTEXTS[:len(counts)]), square_of_means, microbatches, chunks,
                  schedule) as pipe:
        pipe.initialize(Ramp())
        pipe_trainer = Trainer(pipe, "adam")
        states, expected_states = pipe.begin_state(ROWS), [plain[i].begin_state(ROWS) for i in (1, 3)]
        for _ in range(3):
            expected, expected_states = plain_step(plain, data, labels, expected_states)
            actual, states = pipe.forward_backward(data, labels, states)
            np.testing.assert_allclose(actual.asnumpy(), expected.asnumpy(), 1e-5)
            for block, other in zip(piped, plain):
                assert_same(gradients(block), gradients(other))
            for state, other in zip(sum(states, []), sum(expected_states, [])):
                np.testing.assert_allclose(state.asnumpy(), other.asnumpy(), 1e-5, 1e-6)
            trainer.step(ROWS)
            pipe_trainer.step(ROWS)
