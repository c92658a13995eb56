"""Layers put together, against the same in Gluon: both directions, a context beside the input, residuals."""
import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, initialized, lstm, lstm_from_zeros, to_array, trace, uniform, values
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.nn import BidirectionalLSTM, ContextLSTM, LSTMLayer, Residual

STEPS = 5
LENGTHS = st.lists(st.integers(1, STEPS), min_size=1, max_size=4)


def valid(lengths):
    """1 where a step is valid, 0 in the padding, (T, N, 1)."""
    return (np.arange(STEPS).reshape(-1, 1, 1) < np.reshape(lengths, (1, -1, 1))).astype("float64")


def alone(data, left, right, lengths, size):
    """Each sequence by itself, cut to its own length: no padding anywhere but in the result."""
    rows = []
    for n, length in enumerate(lengths):
        sequence = data[:length, n:n + 1]
        forwards = lstm_from_zeros(sequence, left, size)
        backwards = lstm_from_zeros(sequence.flip(axis=0), right, size).flip(axis=0)
        out = mx.nd.concat(forwards, backwards, dim=2)
        padding = mx.nd.zeros((STEPS, 1, 2 * size), dtype=data.dtype)
        rows.append(mx.nd.concat(out, padding, dim=0)[:STEPS])
    return mx.nd.concat(*rows, dim=1)


@settings(deadline=None, max_examples=20)
@given(lengths=LENGTHS, width=st.integers(1, 4), size=st.integers(1, 4), hybridize=st.booleans())
def test_is_two_lstms_over_every_sequence_by_itself(lengths, width, size, hybridize):
    block = initialized(BidirectionalLSTM(size, input_size=width), hybridize=hybridize)
    assert [p.name[-12:] for p in block.collect_params().values()] == ["l_parameters", "r_parameters"]
    data, mask = uniform(STEPS, len(lengths), width), mx.nd.array(valid(lengths))
    actual = trace(lambda data, length: mx.nd.broadcast_mul(block(data, length), mask), data, np.array(lengths),
                   block=block)
    expected = trace(lambda data, left, right: alone(data, left, right, lengths, size), data, *values(block),
                     dtype="float64")
    assert_same(actual, expected)


@pytest.mark.parametrize("garbage", [0.0, 3.0, -1e6])
def test_the_paddings_content_changes_nothing(garbage):
    lengths = [5, 1, 3]
    block = initialized(BidirectionalLSTM(4, input_size=3), hybridize=True)
    mask, data = valid(lengths), uniform(STEPS, 3, 3)

    def masked_trace(data):
        out = trace(lambda data, length: mx.nd.broadcast_mul(block(data, length), mx.nd.array(mask)), data,
                    np.array(lengths), block=block)
        assert not (out[1] * (1 - mask)).any()  # no gradient into the padding
        return out

    assert_same(masked_trace(data * mask + garbage * (1 - mask)), masked_trace(data), rtol=0, atol=0)


def test_lengths_may_be_floating_point():
    block = initialized(BidirectionalLSTM(4, input_size=3))
    data, lengths = to_array(uniform(STEPS, 3, 3)), np.array([5, 1, 3])
    np.testing.assert_array_equal(block(data, to_array(lengths)).asnumpy(),
                                  block(data, to_array(lengths.astype("float32"))).asnumpy())


def test_a_bidirectional_layer_takes_the_inputs_width_from_the_first_call():
    block = BidirectionalLSTM(4)
    block.initialize()
    block.hybridize()
    assert block(mx.nd.ones((STEPS, 2, 7)), mx.nd.array([5, 2])).shape == (STEPS, 2, 8)
    assert [p.shape for p in block.collect_params().values()] == 2 * [(4 * 4 * (7 + 4 + 2),)]


def test_dropout_is_off_in_prediction_only():
    mx.random.seed(1)
    block = initialized(BidirectionalLSTM(4, dropout=0.5, input_size=3))
    plain = initialized(BidirectionalLSTM(4, input_size=3))
    inputs = mx.nd.array(uniform(STEPS, 2, 3)), mx.nd.array([5, 2])
    expected = plain(*inputs).asnumpy()
    assert (block(*inputs).asnumpy() == expected).all()
    with mx.autograd.train_mode():
        out = block(*inputs).asnumpy()
    assert (out[..., :4] != expected[..., :4]).any() and (out[..., 4:] != expected[..., 4:]).any()


DATA, CONTEXT = uniform(6, 3, 4, seed=1), uniform(6, 3, 4, seed=2)
HIDDEN, CELL = uniform(1, 3, 5, seed=3), uniform(1, 3, 5, seed=4)


@pytest.fixture(params=["plain", "hybridized"])
def block(request):
    return initialized(ContextLSTM(5, input_size=8), hybridize=request.param == "hybridized")


def test_is_an_lstm_over_both_inputs(block):
    expected = trace(lambda data, context, flat: lstm_from_zeros(mx.nd.concat(data, context, dim=2), flat, 5),
                     DATA, CONTEXT, *values(block), dtype="float64")
    assert_same(trace(block, DATA, CONTEXT, block=block), expected)


def test_hands_states_through(block):
    expected = trace(lambda data, context, *others: lstm(mx.nd.concat(data, context, dim=2), *others),
                     DATA, CONTEXT, HIDDEN, CELL, *values(block), dtype="float64")
    assert_same(trace(lambda data, context, hidden, cell: block(data, context, [hidden, cell]),
                      DATA, CONTEXT, HIDDEN, CELL, block=block), expected)


def test_a_context_lstm_takes_the_inputs_width_from_the_first_call():
    block = ContextLSTM(5)
    block.initialize()
    block.hybridize()
    block(mx.nd.array(DATA), mx.nd.array(CONTEXT))
    assert [p.shape for p in block.collect_params().values()] == [(4 * 5 * (8 + 5 + 2),)]


def test_begin_state_is_the_lstms():
    states = ContextLSTM(5, dtype="float64").begin_state(3, ctx=mx.cpu(1))
    assert [(s.shape, s.dtype.__name__, s.context) for s in states] == 2 * [((1, 3, 5), "float64", mx.cpu(1))]


def test_dropout_covers_data_and_context():
    mx.random.seed(1)
    block = initialized(ContextLSTM(5, dropout=0.5, input_size=8))
    grads = trace(block, DATA, CONTEXT, block=block)[1:3]
    for kept in (grad != 0 for grad in grads):
        assert (kept == kept[:1]).all() and 0 < kept.mean() < 1


RESIDUAL_HIDDEN, RESIDUAL_CELL = uniform(1, 3, 4, seed=3), uniform(1, 3, 4, seed=4)


@pytest.fixture(params=["plain", "hybridized"])
def hybridize(request):
    return request.param == "hybridized"


def test_adds_the_input(hybridize):
    block = initialized(Residual(LSTMLayer(4, input_size=4)), hybridize=hybridize)
    expected = trace(lambda data, flat: data + lstm_from_zeros(data, flat, 4), DATA, *values(block), dtype="float64")
    assert_same(trace(block, DATA, block=block), expected)


def test_hands_states_through_unchanged(hybridize):
    block = initialized(Residual(LSTMLayer(4, input_size=4)), hybridize=hybridize)

    def expected(data, *others):
        out, *states = lstm(data, *others)
        return data + out, states

    actual = trace(lambda data, hidden, cell: block(data, [hidden, cell]), DATA, RESIDUAL_HIDDEN, RESIDUAL_CELL,
                   block=block)
    assert_same(actual, trace(expected, DATA, RESIDUAL_HIDDEN, RESIDUAL_CELL, *values(block), dtype="float64"))


def test_of_a_context_lstm_adds_the_first_input_only(hybridize):
    block = initialized(Residual(ContextLSTM(4, input_size=8)), hybridize=hybridize)

    def expected(data, context, *others):
        out, *states = lstm(mx.nd.concat(data, context, dim=2), *others)
        return data + out, states

    assert_same(trace(lambda data, context, hidden, cell: block(data, context, [hidden, cell]),
                      DATA, CONTEXT, RESIDUAL_HIDDEN, RESIDUAL_CELL, block=block),
                trace(expected, DATA, CONTEXT, RESIDUAL_HIDDEN, RESIDUAL_CELL, *values(block), dtype="float64"))
    zeros = 0 * RESIDUAL_HIDDEN
    assert_same(trace(block, DATA, CONTEXT, block=block)[:1],
                trace(expected, DATA, CONTEXT, zeros, zeros, *values(block), dtype="float64")[:1])


def test_of_a_residual_adds_the_input_twice(hybridize):
    block = initialized(Residual(Residual(LSTMLayer(4, input_size=4))), hybridize=hybridize)
    expected = trace(lambda data, flat: 2 * data + lstm_from_zeros(data, flat, 4), DATA, *values(block),
                     dtype="float64")
    assert_same(trace(block, DATA, block=block), expected)


def test_a_residual_takes_the_inputs_width_from_the_first_call():
    block = Residual(LSTMLayer(4))
    block.initialize()
    block.hybridize()
    assert block(mx.nd.array(DATA)).shape == DATA.shape


def test_begin_state_is_the_blocks():
    states = Residual(ContextLSTM(5, dtype="float64")).begin_state(3, ctx=mx.cpu(1))
    assert [(s.shape, s.dtype.__name__, s.context) for s in states] == 2 * [((1, 3, 5), "float64", mx.cpu(1))]


TURNED = {"BidirectionalLSTM": (lambda layout: BidirectionalLSTM(4, input_size=4, layout=layout),
                                [np.array([5, 1, 3])]),
          "ContextLSTM": (lambda layout: ContextLSTM(4, input_size=8, layout=layout), [uniform(3, STEPS, 4, seed=2)]),
          "Residual": (lambda layout: Residual(LSTMLayer(4, input_size=4, layout=layout)), []),
          "Residual of Gluon's": (lambda layout: Residual(mx.gluon.rnn.LSTM(4, input_size=4, layout=layout)), [])}


def turned(array):
    return array.swapaxes(0, 1) if array.ndim == 3 else array


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", TURNED)
def test_batch_first_is_time_first_turned(name, hybridize):
    make, others = TURNED[name]
    batch_first, time_first = (initialized(make(layout), hybridize=hybridize) for layout in ("NTC", "TNC"))
    inputs = [uniform(3, STEPS, 4, seed=1), *others]
    assert_same(trace(batch_first, *inputs, block=batch_first),
                trace(lambda *arrays: turned(time_first(*map(turned, arrays))), *inputs, block=time_first))


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", [name for name in TURNED if name != "BidirectionalLSTM"])
def test_states_are_the_same_batch_first(name, hybridize):
    make, others = TURNED[name]
    batch_first, time_first = (initialized(make(layout), hybridize=hybridize) for layout in ("NTC", "TNC"))
    inputs = [uniform(3, STEPS, 4, seed=1), *others]
    states = [uniform(1, 3, 4, seed=3), uniform(1, 3, 4, seed=4)]

    def time_first_turned(*arrays):
        out, news = time_first(*map(turned, arrays[:-2]), list(arrays[-2:]))
        return turned(out), news

    assert_same(trace(lambda *arrays: batch_first(*arrays[:-2], list(arrays[-2:])), *inputs, *states,
                      block=batch_first), trace(time_first_turned, *inputs, *states, block=time_first))
