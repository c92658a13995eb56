"""The exactness matrix: every plan, schedule, number of micro-batches and of chunks against plain Gluon.

The truth is the chain's blocks called by hand over the whole batch and the whole time, under one ``record()``.
"""
from functools import lru_cache

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, random_values, set_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan, Trainer
from mxmp.nn import Chain, LSTMLayer, Select

ROWS, LENGTH, SIZE, CLASSES = 9, 7, 4, 3  # rows and steps that most numbers of parts cut unevenly
COUNTS = {1: (5,), 2: (2, 3), 3: (1, 2, 2), 4: (1, 1, 1, 2)}
BY_TURNS = {1: ((1, 1, 3), CONTEXTS[:1] * 3), 2: ((1, 1, 2, 1), CONTEXTS[:2] * 2)}  # plans by contexts
TOLERANCE = {"float32": (1e-5, 1e-6), "float64": (1e-12, 1e-14)}
ADAM = {"learning_rate": 0.01, "epsilon": 0.01}  # with less Adam's steps hardly depend on the gradients' scale
STEPS = 5


class Masked(gluon.HybridBlock):
    """An array (T, N, C) with the steps beyond each sequence's end set to 0, by a mask (T, N)."""

    def hybrid_forward(self, F, data, mask):
        return F.broadcast_mul(data, F.expand_dims(mask, 2))


def build(dtype):
    """Three recurrent layers, past which a mask is carried, and an output layer."""
    layers = [kind(SIZE, input_size=SIZE, dtype=dtype) for kind in (LSTMLayer, gluon.rnn.LSTM, LSTMLayer)]
    chain = Chain()
    chain.add(*[Select(layer, (0,), (1,)) for layer in layers], Select(Masked(), (0, 1)),
              gluon.nn.Dense(CLASSES, flatten=False, in_units=SIZE, dtype=dtype))
    return chain


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of parameters, by type; drawing them anew for every test would take a third of the time."""
    found = {}
    for dtype in TOLERANCE:
        chain, found[dtype] = build(dtype), str(tmp_path_factory.mktemp("values") / f"{dtype}.params")
        chain.initialize()
        # three times as large as elsewhere, so that gradients reach the first layer well above the tolerance
        set_values(chain, {name: 3 * value for name, value in random_values(chain).items()})
        chain.save_parameters(found[dtype])
    return found


def by_hand(chain, data, mask, states):
    """What the chain computes, without Chain, Select and Masked."""
    *recurrent, _, dense = chain
    new = []
    for layer, state in zip(recurrent, states):
        data, kept = layer.block(data, state)
        new.append(kept)
    return dense(data * mask.expand_dims(2)), new


def batch(dtype):
    """Inputs and their mask, labels and their weights, for sequences of several lengths."""
    rng = np.random.RandomState(0)
    data, labels = rng.randn(LENGTH, ROWS, SIZE), rng.randint(0, CLASSES, (LENGTH, ROWS))
    mask = np.arange(LENGTH)[:, None] < np.array([7, 3, 1, 6, 7, 2, 5, 4, 7])
    weights = (mask / mask.mean(0))[:, :, None]  # so that the loss is a mean over a sequence's own steps
    data, mask, labels, weights = (mx.nd.array(array, dtype=dtype) for array in (data, mask, labels, weights))
    data.attach_grad()
    return (data, mask), (labels, weights)


def first_states(zeros):
    """Random states, each where its zeros are."""
    rng = np.random.RandomState(3)
    for state in [state for layer in zeros for state in layer]:
        state[:] = mx.nd.array(rng.randn(*state.shape), dtype=state.dtype)
    return zeros


def train(chain, data, states, forward_backward, trainer):
    """All that some Adam steps give; each takes the states of the one before."""
    results = {}
    for i in range(STEPS):
        loss, states = forward_backward(states)
        results[f"step {i}"] = {"loss": loss.asnumpy(), "input's gradient": data.grad.asnumpy(), **gradients(chain)}
        results[f"step {i}"].update({f"state {j} of layer {k}": state.asnumpy() for k, layer in enumerate(states)
                                     for j, state in enumerate(layer)})
        trainer.step(ROWS)
    parameters = {name: p.data(p.list_ctx()[0]).asnumpy() for name, p in chain._collect_params_with_prefix().items()}
    return {**results, "parameters after the last step": parameters}


@lru_cache(maxsize=None)
def plain(file, dtype):
    """Plain Gluon's training steps."""
    (data, mask), labels = batch(dtype)
    chain, loss = build(dtype), gluon.loss.SoftmaxCrossEntropyLoss(batch_axis=1)
    chain.load_parameters(file)

    def forward_backward(states):
        with autograd.record():
            outputs, states = by_hand(chain, data, mask, states)
            total = loss(outputs, *labels).sum()
        total.backward()
        return total, [[state.detach() for state in layer] for layer in states]

    states = first_states([layer.begin_state(ROWS) for layer in list(chain)[:3]])
    trainer = gluon.Trainer(chain.collect_params(), "adam", dict(ADAM))
    return train(chain, data, states, forward_backward, trainer)


@lru_cache(maxsize=None)
def plain_outputs(file, dtype):
    """Plain Gluon's forward pass that starts from zeros."""
    chain = build(dtype)
    chain.load_parameters(file)
    return by_hand(chain, *batch(dtype)[0], [layer.begin_state(ROWS) for layer in list(chain)[:3]])[0].asnumpy()


def pipeline(chain, file, plan, *args):
    pipe = Pipeline(chain, Plan(*plan), *args, layout="TNC")
    pipe.load_parameters(file)
    return pipe


def every_cut(test):
    """Run a test with every number of micro-batches and chunks, and both types."""
    for name, choices in {"dtype": list(TOLERANCE), "chunks": (1, 2, 5), "microbatches": (1, 2, 3, 8)}.items():
        test = pytest.mark.parametrize(name, choices)(test)
    return test


def check_training(files, plan, schedule, microbatches, chunks, dtype):
    """Compare a pipeline's training steps with plain Gluon's."""
    inputs, labels = batch(dtype)
    chain, loss = build(dtype), gluon.loss.SoftmaxCrossEntropyLoss(batch_axis=1)
    with pipeline(chain, files[dtype], plan, loss, microbatches, chunks, schedule) as pipe:
        actual = train(chain, inputs[0], first_states(pipe.begin_state(ROWS)),
                       lambda states: pipe.forward_backward(inputs, labels, states),
                       Trainer(pipe, "adam", ADAM))
    for part, expected in plain(files[dtype], dtype).items():
        assert_same(actual[part], expected, *TOLERANCE[dtype])


@every_cut
@pytest.mark.parametrize("contexts", COUNTS)
@pytest.mark.parametrize("schedule", ["fill_drain", "1f1b", "wavefront"])
def test_training_gives_what_plain_gluon_gives(files, contexts, schedule, microbatches, chunks, dtype):
    plan = COUNTS[contexts], CONTEXTS[:contexts]
    check_training(files, plan, schedule, microbatches, chunks, dtype)


@every_cut
@pytest.mark.parametrize("contexts", BY_TURNS)
def test_interleaved_training_gives_what_plain_gluon_gives(files, contexts, microbatches, chunks, dtype):
    check_training(files, BY_TURNS[contexts], "interleaved", microbatches, chunks, dtype)


@every_cut
@pytest.mark.parametrize("schedule, plan", [
    *(("1f1b", (counts, CONTEXTS[:len(counts)])) for counts in COUNTS.values()),  # the others evaluate in its order
    *(("interleaved", plan) for plan in BY_TURNS.values())])
def test_outputs_are_those_of_plain_gluon(files, schedule, plan, microbatches, chunks, dtype):
    with pipeline(build(dtype), files[dtype], plan, None, microbatches, chunks, schedule) as pipe:
        outputs = pipe(batch(dtype)[0])
    np.testing.assert_allclose(outputs.asnumpy(), plain_outputs(files[dtype], dtype), *TOLERANCE[dtype])
