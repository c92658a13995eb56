import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, initialized, lstm, lstm_from_zeros, trace, uniform, values
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.nn import LSTMLayer

SIZE = st.integers(1, 5)


def random_inputs(steps=6, rows=3, width=4, size=5):
    return uniform(steps, rows, width, seed=1), uniform(1, rows, size, seed=2), uniform(1, rows, size, seed=3)


def with_states(layer):
    return lambda data, hidden, cell: layer(data, [hidden, cell])


@settings(deadline=None, max_examples=20)
@given(steps=SIZE, rows=SIZE, width=SIZE, size=SIZE, hybridize=st.booleans())
def test_is_the_recurrence_written_out(steps, rows, width, size, hybridize):
    layer = initialized(LSTMLayer(size, input_size=width), hybridize=hybridize)
    inputs = random_inputs(steps, rows, width, size)
    expected = trace(lstm, *inputs, *values(layer), dtype="float64")
    assert_same(trace(with_states(layer), *inputs, block=layer), expected)


@settings(deadline=None, max_examples=20)
@given(steps=SIZE, rows=SIZE, width=SIZE, size=SIZE, hybridize=st.booleans())
def test_starts_from_zeros_without_states(steps, rows, width, size, hybridize):
    layer = initialized(LSTMLayer(size, input_size=width), hybridize=hybridize)
    data = random_inputs(steps, rows, width, size)[0]
    expected = trace(lambda data, flat: lstm_from_zeros(data, flat, size), data, *values(layer), dtype="float64")
    assert_same(trace(layer, data, block=layer), expected)


def gluon_twin(layer, ctx=None, width=4, size=5, layout="TNC"):
    """A gluon.rnn.LSTM with the layer's numbers, its arrays cut from the flat one in the order of the operator."""
    twin = mx.gluon.rnn.LSTM(size, input_size=width, layout=layout)
    twin.initialize(ctx=ctx or mx.cpu())
    flat, start = layer.parameters.data(), 0
    for parameter in (twin.l0_i2h_weight, twin.l0_h2h_weight, twin.l0_i2h_bias, twin.l0_h2h_bias):
        length = int(np.prod(parameter.shape))
        parameter.set_data(flat[start:start + length].reshape(parameter.shape))
        start += length
    assert start == flat.size
    return twin


def packed(traced, num_others):
    """The result of `trace` for a gluon.rnn.LSTM with its four parameters' gradients as one array."""
    return traced[:num_others] + [np.concatenate([grad.ravel() for grad in traced[num_others:]])]


@pytest.mark.parametrize("ctx", [mx.cpu(0), mx.cpu(1)], ids=str)
@pytest.mark.parametrize("hybridize", [False, True])
def test_is_gluons_lstm_with_its_arrays_in_one(ctx, hybridize):
    layer = initialized(LSTMLayer(5, input_size=4), ctx=ctx, hybridize=hybridize)
    twin = gluon_twin(layer, ctx)
    inputs = random_inputs()
    assert_same(trace(with_states(layer), *inputs, block=layer, ctx=ctx),
                packed(trace(with_states(twin), *inputs, block=twin, ctx=ctx), 6))
    assert_same(trace(layer, inputs[0], block=layer, ctx=ctx), packed(trace(twin, inputs[0], block=twin, ctx=ctx), 2))


@pytest.mark.parametrize("hybridize", [False, True])
def test_batch_first_is_gluons_batch_first_lstm(hybridize):
    layer = initialized(LSTMLayer(5, input_size=4, layout="NTC"), hybridize=hybridize)
    twin = gluon_twin(layer, layout="NTC")
    data, *states = random_inputs()
    data = data.swapaxes(0, 1)
    assert_same(trace(with_states(layer), data, *states, block=layer),
                packed(trace(with_states(twin), data, *states, block=twin), 6))
    assert_same(trace(layer, data, block=layer), packed(trace(twin, data, block=twin), 2))
    assert [state.shape for state in layer.begin_state(3)] == [(1, 3, 5)] * 2


@pytest.mark.parametrize("hybridize", [False, True])
def test_gradients_of_eight_backward_passes_add_up(hybridize):
    layer = initialized(LSTMLayer(5, input_size=4), hybridize=hybridize)
    batches = [uniform(6, 3, 4, seed=i) for i in range(8)]
    expected = sum(trace(layer, data, block=layer)[-1].astype("float64") for data in batches)
    layer.parameters.grad_req = "add"
    layer.parameters.zero_grad()
    totals = [trace(layer, data, block=layer)[-1] for data in batches]
    assert_same(totals[-1:], [expected])


@pytest.mark.parametrize("grad_req", ["write", "add"])
@pytest.mark.parametrize("hybridize", [False, True])
def test_gradients_of_eight_calls_in_one_graph_add_up(hybridize, grad_req):
    layer = initialized(LSTMLayer(5, input_size=4), hybridize=hybridize)
    batches = [uniform(6, 3, 4, seed=i) for i in range(8)]
    expected = trace(lambda *arrays: [lstm_from_zeros(data, arrays[-1], 5) for data in arrays[:-1]],
                     *batches, *values(layer), dtype="float64")
    layer.parameters.grad_req = grad_req
    layer.parameters.zero_grad()
    assert_same(trace(lambda *data: [layer(batch) for batch in data], *batches, block=layer), expected)


def test_two_chunks_that_hand_over_their_states_are_one_sequence():
    layer = initialized(LSTMLayer(5, input_size=4), hybridize=True)

    def in_chunks(data, hidden, cell):
        first, states = layer(data[:2], [hidden, cell])
        second, states = layer(data[2:], states)
        return mx.nd.concat(first, second, dim=0), states

    assert_same(trace(in_chunks, *random_inputs(), block=layer),
                trace(with_states(layer), *random_inputs(), block=layer))


def test_a_hybridized_layer_takes_any_number_of_rows_and_steps():
    layer = initialized(LSTMLayer(5, input_size=4), hybridize=True)
    for steps, rows in [(6, 3), (2, 7), (9, 1), (6, 3)]:
        inputs = random_inputs(steps, rows)
        assert_same(trace(with_states(layer), *inputs, block=layer),
                    trace(lstm, *inputs, *values(layer), dtype="float64"))


@pytest.mark.parametrize("hybridize", [False, True])
def test_takes_the_inputs_width_from_the_first_call(hybridize):
    layer = LSTMLayer(5)
    layer.initialize()
    if hybridize:
        layer.hybridize()
    assert layer(mx.nd.ones((2, 3, 7))).shape == (2, 3, 5)
    assert layer.parameters.shape == (4 * 5 * (7 + 5 + 2),) == LSTMLayer(5, input_size=7).parameters.shape


@pytest.mark.parametrize("input_size", [0, 8])
def test_first_values(input_size):
    mx.random.seed(1)
    layer = LSTMLayer(16, input_size=input_size)
    layer.initialize(mx.init.One())
    layer(mx.nd.ones((1, 1, 8)))
    flat = layer.parameters.data().asnumpy()
    weights, biases = flat[:4 * 16 * (8 + 16)], flat[4 * 16 * (8 + 16):]
    assert len(np.unique(weights)) > 0.99 * weights.size
    assert 0.99 / 4 < np.abs(weights).max() <= 1 / 4
    assert abs(weights.mean()) < 0.01 and abs(weights.std() * 4 - 3 ** -0.5) < 0.02
    np.testing.assert_array_equal(biases, np.zeros(2 * 4 * 16))


def test_weight_initializer_fills_the_matrices_only():
    layer = LSTMLayer(4, input_size=3, weight_initializer=mx.init.One())
    layer.initialize()
    flat = layer.parameters.data().asnumpy()
    np.testing.assert_array_equal(flat, [1] * 4 * 4 * (3 + 4) + [0] * 2 * 4 * 4)


@pytest.mark.parametrize("layout", ["TNC", "NTC"])
def test_dropout_has_one_mask_per_sequence_over_the_input(layout):
    mx.random.seed(1)
    layer = initialized(LSTMLayer(5, dropout=0.25, input_size=64, layout=layout), hybridize=True)
    plain = initialized(LSTMLayer(5, input_size=64, layout=layout))
    plain.parameters.set_data(layer.parameters.data())
    data = mx.nd.array(uniform(*((6, 3) if layout == "TNC" else (3, 6)), 64))
    data.attach_grad()
    with mx.autograd.record():
        out = layer(data)
    out.backward()
    kept = data.grad.asnumpy() != 0  # what is dropped has no influence
    expected = plain(data * mx.nd.array(kept / 0.75))
    kept = kept if layout == "TNC" else kept.swapaxes(0, 1)
    assert (kept == kept[:1]).all()
    assert (kept[0, 0] != kept[0, 1]).any() and (kept[0, 1] != kept[0, 2]).any()
    assert 0.6 < kept[0].mean() < 0.9
    assert_same([out.asnumpy()], [expected.asnumpy()])


def test_dropout_is_off_in_prediction():
    layer = initialized(LSTMLayer(5, dropout=0.5, input_size=4), hybridize=True)
    plain = initialized(LSTMLayer(5, input_size=4))
    data = mx.nd.array(uniform(6, 3, 4))
    np.testing.assert_array_equal(layer(data).asnumpy(), plain(data).asnumpy())


def test_two_layers_can_share_their_parameter():
    layer = LSTMLayer(5, input_size=4)
    assert LSTMLayer(5, input_size=4, params=layer.params).parameters is layer.parameters


def test_begin_state_is_zero_and_where_it_is_asked_for():
    states = LSTMLayer(5, dtype="float64").begin_state(3, ctx=mx.cpu(1))
    assert [(s.shape, s.dtype, s.context) for s in states] == 2 * [((1, 3, 5), np.float64, mx.cpu(1))]
    assert not any(s.asnumpy().any() for s in states)


def test_float64():
    layer = initialized(LSTMLayer(5, input_size=4, dtype="float64"), hybridize=True)
    assert_same(trace(with_states(layer), *random_inputs(), block=layer, dtype="float64"),
                trace(lstm, *random_inputs(), *values(layer), dtype="float64"), rtol=1e-12, atol=1e-13)


def test_cast_covers_the_states_that_are_left_out():
    layer = initialized(LSTMLayer(5, input_size=4))
    layer.cast("float64")
    assert layer(mx.nd.ones((6, 3, 4), dtype="float64")).dtype == np.float64


def test_refuses_an_unknown_layout():
    with pytest.raises(ValueError, match="layout must be 'TNC' or 'NTC', got 'NCT'"):
        LSTMLayer(4, layout="NCT")


@pytest.mark.parametrize("size", [0, -3])
def test_refuses_a_state_without_width(size):
    with pytest.raises(ValueError, match=f"hidden_size must be at least 1, got {size}"):
        LSTMLayer(size)
