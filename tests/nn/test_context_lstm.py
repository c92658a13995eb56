import mxnet as mx
import pytest
from helpers.plain import assert_same, initialized, lstm, lstm_from_zeros, trace, uniform, values

from mxmp.nn import ContextLSTM

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


def test_takes_the_inputs_width_from_the_first_call():
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
