import mxnet as mx
import pytest
from helpers.plain import assert_same, initialized, lstm, lstm_from_zeros, trace, uniform, values

from mxmp.nn import ContextLSTM, LSTMLayer, Residual

DATA, CONTEXT = uniform(6, 3, 4, seed=1), uniform(6, 3, 4, seed=2)
HIDDEN, CELL = uniform(1, 3, 4, seed=3), uniform(1, 3, 4, seed=4)


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

    assert_same(trace(lambda data, hidden, cell: block(data, [hidden, cell]), DATA, HIDDEN, CELL, block=block),
                trace(expected, DATA, HIDDEN, CELL, *values(block), dtype="float64"))


def test_of_a_context_lstm_adds_the_first_input_only(hybridize):
    block = initialized(Residual(ContextLSTM(4, input_size=8)), hybridize=hybridize)

    def expected(data, context, *others):
        out, *states = lstm(mx.nd.concat(data, context, dim=2), *others)
        return data + out, states

    assert_same(trace(lambda data, context, hidden, cell: block(data, context, [hidden, cell]),
                      DATA, CONTEXT, HIDDEN, CELL, block=block),
                trace(expected, DATA, CONTEXT, HIDDEN, CELL, *values(block), dtype="float64"))
    zeros = 0 * HIDDEN
    assert_same(trace(block, DATA, CONTEXT, block=block)[:1],
                trace(expected, DATA, CONTEXT, zeros, zeros, *values(block), dtype="float64")[:1])


def test_of_a_residual_adds_the_input_twice(hybridize):
    block = initialized(Residual(Residual(LSTMLayer(4, input_size=4))), hybridize=hybridize)
    expected = trace(lambda data, flat: 2 * data + lstm_from_zeros(data, flat, 4), DATA, *values(block),
                     dtype="float64")
    assert_same(trace(block, DATA, block=block), expected)


def test_takes_the_inputs_width_from_the_first_call():
    block = Residual(LSTMLayer(4))
    block.initialize()
    block.hybridize()
    assert block(mx.nd.array(DATA)).shape == DATA.shape


def test_begin_state_is_the_blocks():
    states = Residual(ContextLSTM(5, dtype="float64")).begin_state(3, ctx=mx.cpu(1))
    assert [(s.shape, s.dtype.__name__, s.context) for s in states] == 2 * [((1, 3, 5), "float64", mx.cpu(1))]
