"""States that are carried over chunks and segments, against plain Gluon whose states are detached."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import assert_same, gradients, pipelined, random_values, set_values
from mxnet import autograd, gluon

from mxmp.nn import Chain, ContextLSTM, LabelSmoothedLoss, LSTMLayer, Residual, Select, TimeFirst

ROWS, SIZE, CLASSES = 5, 4, 3
COUNTS = {1: (7,), 2: (3, 4), 3: (2, 2, 3), 4: (1, 2, 2, 2)}
CUTS = [("1f1b", 3, 1), ("1f1b", 2, 2), ("wavefront", 1, 3), ("wavefront", 3, 2), ("fill_drain", 2, 3)]
cuts = pytest.mark.parametrize("schedule, microbatches, chunks", CUTS)


def all_kinds():
    """Every kind of recurrent layer, batch first at both ends."""
    chain = Chain()
    chain.add(TimeFirst(), Select(LSTMLayer(SIZE, input_size=SIZE), (0,), (0,)),
              Select(ContextLSTM(SIZE, input_size=2 * SIZE), (0, 1), (1,)),
              Select(Residual(ContextLSTM(SIZE, input_size=2 * SIZE)), (0, 1)), TimeFirst(),
              gluon.rnn.LSTM(SIZE, num_layers=2, layout="NTC", input_size=SIZE),
              gluon.nn.Dense(CLASSES, flatten=False, in_units=SIZE))
    return chain


def by_hand(chain, data, states):
    """What the chain computes, of LSTMs alone."""
    _, first, second, third, _, last, dense = chain
    data = data.swapaxes(0, 1)
    one, one_state = first.block(data, states[0])
    two, two_state = second.block.lstm(mx.nd.concat(one, data, dim=2), states[1])
    three, three_state = third.block.block.lstm(mx.nd.concat(two, data, dim=2), states[2])
    out, last_state = last((two + three).swapaxes(0, 1), states[3])
    return dense(out), [one_state, two_state, three_state, last_state]


def segments(*lengths):
    """Consecutive parts of a batch of long sequences: inputs and labels."""
    rng = np.random.RandomState(2)
    for length in lengths:
        data = mx.nd.array(rng.randn(ROWS, length, SIZE))
        data.attach_grad()
        yield data, mx.nd.array(rng.randn(ROWS, length, CLASSES))


def results(chain, total, data, states):
    return {"loss": total.asnumpy(), "input": data.grad.asnumpy(), **gradients(chain),
            **{f"state {i}": state.asnumpy() for i, state in enumerate(s for layer in states for s in layer)}}


def plain_segments(values, *lengths):
    """Loss, gradients and states of each segment in plain Gluon."""
    chain, loss, found = all_kinds(), gluon.loss.L2Loss(), []
    chain.initialize()
    set_values(chain, values)
    states = [chain[i].begin_state(ROWS) for i in (1, 2, 3, 5)]
    for data, labels in segments(*lengths):
        with autograd.record():
            outputs, states = by_hand(chain, data, states)
            total = loss(outputs, labels).sum()
        total.backward()
        states = [[state.detach() for state in layer] for layer in states]
        found.append(results(chain, total, data, states))
    return found


def large_values(chain):
    """Values that let gradients reach the first layer well above the tolerance."""
    return {name: 3 * value for name, value in random_values(chain).items()}


@cuts
@pytest.mark.parametrize("contexts", [1, 2, 3, 4])
def test_truncated_backpropagation_over_segments_equals_plain_gluons(contexts, schedule, microbatches, chunks):
    lengths, values = (5, 5, 2), large_values(all_kinds())
    chain = all_kinds()
    with pipelined(chain, values, gluon.loss.L2Loss(), COUNTS[contexts], microbatches, num_chunks=chunks,
                   schedule=schedule) as pipe:
        states = pipe.begin_state(ROWS)
        for (data, labels), expected in zip(segments(*lengths), plain_segments(values, *lengths)):
            total, states = pipe.forward_backward(data, labels, states)
            assert_same(results(chain, total, data, states), expected)


@cuts
def test_calls_with_and_without_states_may_alternate(schedule, microbatches, chunks):
    values = large_values(all_kinds())
    (data, labels), = segments(5)
    (expected,), chain = plain_segments(values, 5), all_kinds()
    with pipelined(chain, values, gluon.loss.L2Loss(), COUNTS[3], microbatches, num_chunks=chunks,
                   schedule=schedule) as pipe:
        for _ in range(2):
            np.testing.assert_allclose(pipe.forward_backward(data, labels).asnumpy(), expected["loss"], 1e-5)
            assert_same(gradients(chain), {name: expected[name] for name in gradients(chain)})
            total, states = pipe.forward_backward(data, labels, pipe.begin_state(ROWS))
            assert_same(results(chain, total, data, states), expected)
            np.testing.assert_allclose(pipe(data, labels).asnumpy(), expected["loss"], 1e-5)


@cuts
def test_a_forward_pass_carries_states_like_one_over_the_whole_time(schedule, microbatches, chunks):
    chain, data = all_kinds(), mx.nd.concat(*[data for data, _ in segments(5, 5, 2)], dim=1)
    with pipelined(chain, large_values(chain), None, COUNTS[2], microbatches, num_chunks=chunks,
                   schedule=schedule) as pipe:
        whole, last = pipe(data, states=pipe.begin_state(ROWS))
        parts, states = [], pipe.begin_state(ROWS)
        for begin, end in ((0, 5), (5, 10), (10, 12)):
            out, states = pipe(data[:, begin:end], states=states)
            parts.append(out)
    np.testing.assert_allclose(mx.nd.concat(*parts, dim=1).asnumpy(), whole.asnumpy(), 1e-5, 1e-6)
    for actual, expected in zip(sum(states, []), sum(last, [])):
        np.testing.assert_allclose(actual.asnumpy(), expected.asnumpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("rows, length", [(1, 1), (2, 2), (3, 1), (1, 3)])
@pytest.mark.parametrize("schedule", ["fill_drain", "1f1b", "wavefront"])
def test_batches_with_fewer_rows_than_microbatches_and_fewer_steps_than_chunks(schedule, rows, length):
    values, (data, labels) = large_values(all_kinds()), next(segments(length))
    data, labels = data[:rows], labels[:rows]
    found = []
    for counts, microbatches, chunks in ((COUNTS[1], 1, 1), (COUNTS[4], 8, 5)):
        chain = all_kinds()
        data.attach_grad()
        with pipelined(chain, values, gluon.loss.L2Loss(), counts, microbatches, num_chunks=chunks,
                       schedule=schedule) as pipe:
            total, states = pipe.forward_backward(data, labels, pipe.begin_state(rows))
            found.append(results(chain, total, data, states))
    assert_same(found[1], found[0])


@pytest.mark.parametrize("microbatches, chunks", [(1, 2), (1, 5), (3, 3)])
@pytest.mark.parametrize("contexts", [1, 2, 3, 4])
def test_a_loss_over_valid_lengths_is_exact_on_the_wavefront(contexts, microbatches, chunks):
    smoothed = LabelSmoothedLoss(0.1)

    def loss(logits, labels, lengths):  # batch first, as the pipeline's layout: chunks are joined along the second axis
        return smoothed(logits.swapaxes(0, 1), labels, lengths)

    rng = np.random.RandomState(4)
    data, labels = mx.nd.array(rng.randn(ROWS, 6, SIZE)), mx.nd.array(rng.randint(0, CLASSES, (ROWS, 6)))
    lengths, values, plain = mx.nd.array([6, 1, 4, 5, 2]), large_values(all_kinds()), all_kinds()
    plain.initialize()
    set_values(plain, values)
    with autograd.record():
        logits, _ = by_hand(plain, data, [plain[i].begin_state(ROWS) for i in (1, 2, 3, 5)])
        total = smoothed(logits.swapaxes(0, 1), labels, lengths).sum()
    total.backward()
    chain = all_kinds()
    with pipelined(chain, values, loss, COUNTS[contexts], microbatches, num_chunks=chunks,
                   schedule="wavefront") as pipe:
        actual = pipe.forward_backward(data, (labels, lengths))
        np.testing.assert_allclose(actual.asnumpy(), total.asnumpy(), 1e-5)
        assert_same(gradients(chain), gradients(plain))
