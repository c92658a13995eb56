import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, initialized, lstm_from_zeros, to_array, trace, uniform, values
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.nn import BidirectionalLSTM

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


def test_takes_the_inputs_width_from_the_first_call():
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
