"""Layers that need the whole sequence at once: exact with micro-batches, refused in time chunks."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, pipelined, random_values, set_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.nn import BidirectionalLSTM, Chain, LabelSmoothedLoss, LSTMLayer, MaskedAttention, Select, TimeFirst

ROWS, LENGTH, CLASSES = 9, 5, 3
COUNTS = {1: (6,), 2: (2, 4), 3: (2, 1, 3), 4: (1, 1, 2, 2)}


def encoder_and_attention():
    """A bidirectional layer over padded sequences, an LSTM that attends to its outputs, and an output layer."""
    chain = Chain()
    chain.add(Select(TimeFirst(), (0,), (1,)), Select(BidirectionalLSTM(2, input_size=4), (0, 1), (1,)),
              Select(LSTMLayer(4, input_size=4), (0,), (0, 1)), Select(MaskedAttention(4, query_size=4), (0, 1, 2)),
              gluon.nn.Dense(4, flatten=False, in_units=4, activation="tanh"),
              gluon.nn.Dense(CLASSES, flatten=False, in_units=4))
    return chain


def by_hand(chain, data, lengths):
    """What the chain computes, without Chain and Select."""
    _, both, lstm, attend, dense, out = chain
    memory = both.block(data.swapaxes(0, 1), lengths)
    return out(dense(attend.block(lstm.block(memory), memory, lengths)))


def batch():
    rng = np.random.RandomState(1)
    data, labels = mx.nd.array(rng.randn(ROWS, LENGTH, 4)), mx.nd.array(rng.randint(0, CLASSES, (ROWS, LENGTH)))
    data.attach_grad()
    return data, mx.nd.array([5, 2, 1, 4, 5, 3, 2, 1, 5]), labels


@pytest.fixture(scope="module")
def plain():
    """Values and plain Gluon's loss and gradients."""
    chain, (data, lengths, labels) = encoder_and_attention(), batch()
    values = {name: 2 * value for name, value in random_values(chain).items()}
    chain.initialize()
    set_values(chain, values)
    with autograd.record():
        total = LabelSmoothedLoss(0.1)(by_hand(chain, data, lengths), labels, lengths).sum()
    total.backward()
    return values, total.asnumpy(), {"input": data.grad.asnumpy(), **gradients(chain)}


@pytest.mark.parametrize("microbatches", [1, 2, 3, 8])
@pytest.mark.parametrize("schedule", ["fill_drain", "1f1b", "wavefront"])
@pytest.mark.parametrize("contexts", [1, 2, 3, 4])
def test_bidirectional_layers_and_attention_are_exact_without_chunks(plain, contexts, schedule, microbatches):
    values, total, expected = plain
    chain, (data, lengths, labels) = encoder_and_attention(), batch()
    with pipelined(chain, values, LabelSmoothedLoss(0.1), COUNTS[contexts], microbatches, schedule=schedule) as pipe:
        actual = pipe.forward_backward((data, lengths), (labels, lengths))
        np.testing.assert_allclose(actual.asnumpy(), total, 1e-5)
        assert_same({"input": data.grad.asnumpy(), **gradients(chain)}, expected)


class Inside(gluon.HybridBlock):
    """A block that uses an LSTM but keeps its state to itself."""

    def __init__(self):
        super().__init__()
        self.lstm = gluon.rnn.LSTM(4, input_size=4)

    def hybrid_forward(self, F, data):
        return self.lstm(data)


@pytest.mark.parametrize("layer, message", [
    (Select(BidirectionalLSTM(2, input_size=4), (0, 1)), r"'odd' \(BidirectionalLSTM\) needs the whole sequence"),
    (Select(MaskedAttention(4), (0, 0, 1)), r"'odd' \(MaskedAttention\) needs the whole sequence"),
    (gluon.rnn.LSTM(2, input_size=4, bidirectional=True), r"'odd' \(LSTM\) needs the whole sequence"),
    (Inside(), r"'odd' \(Inside\) has a LSTM inside but does not hand on its state")])
def test_layers_that_cannot_run_in_time_chunks_are_refused_by_name(layer, message):
    chain = Chain()
    chain.add_named("even", LSTMLayer(4, input_size=4))
    chain.add_named("odd", layer)
    Pipeline(chain, Plan((1, 1), CONTEXTS[:2]), num_chunks=1, layout="TNC").close()
    with pytest.raises(ValueError, match=message):
        Pipeline(chain, Plan((1, 1), CONTEXTS[:2]), num_chunks=2, layout="TNC")
