import mxnet as mx
import numpy as np
import pytest
from helpers.plain import affine, assert_same, initialized, to_array, trace, uniform, values
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.nn import AttentionalOutput, MaskedAttention

SIZE = st.integers(1, 4)


def one_by_one(query, memory, weight, lengths):
    """Luong's general attention for one sequence and one target step after another, over the valid memory only."""
    rows = []
    for n, length in enumerate(lengths):
        valid, steps = memory[:length, n], []  # (S', D)
        for t in range(query.shape[0]):
            scores = mx.nd.dot(valid, mx.nd.dot(weight, query[t, n]))  # (S',)
            powers = (scores - scores.max()).exp()
            steps.append(mx.nd.dot(powers / powers.sum(), valid))
        rows.append(mx.nd.stack(*steps))  # (T, D)
    return mx.nd.stack(*rows, axis=1)


@settings(deadline=None, max_examples=20)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3), target=SIZE, query_size=SIZE, memory_size=SIZE,
       hybridize=st.booleans(), integer=st.booleans())
def test_is_softmax_attention_over_each_valid_memory(lengths, target, query_size, memory_size, hybridize, integer):
    block = initialized(MaskedAttention(memory_size, query_size), hybridize=hybridize)
    query, memory = uniform(target, len(lengths), query_size, seed=1), uniform(5, len(lengths), memory_size, seed=2)
    valid_length = mx.nd.array(lengths, dtype="int32" if integer else "float32")
    actual = trace(lambda query, memory: block(query, memory, valid_length), query, memory, block=block)
    expected = trace(lambda query, memory, weight: one_by_one(query, memory, weight, lengths),
                     query, memory, *values(block), dtype="float64")
    assert_same(actual, expected)


@pytest.mark.parametrize("garbage", [3.0, -100.0, 1e6])
def test_the_paddings_content_changes_nothing(garbage):
    lengths = np.array([5, 1, 3])
    padding = np.arange(5).reshape(-1, 1, 1) >= lengths.reshape(1, -1, 1)
    block = initialized(MaskedAttention(4, 6), hybridize=True)
    query, memory = uniform(2, 3, 6, seed=1), uniform(5, 3, 4, seed=2)
    expected = trace(block, query, memory, lengths, block=block)
    assert not (expected[2] * padding).any()  # no gradient into the padding
    assert_same(trace(block, query, np.where(padding, garbage, memory), lengths, block=block), expected,
                rtol=0, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("score", [0, -9000, -12000, -1e30, 1e30])
def test_weights_of_the_padding_are_exactly_zero_whatever_the_scores(dtype, score):
    lengths, block = np.array([4, 2, 1, 0]), MaskedAttention(4, 4)
    block.cast(dtype)
    block.initialize()
    block.query.weight.set_data(mx.nd.eye(4, dtype=dtype))
    memory = np.broadcast_to(np.eye(4)[:, None], (4, 4, 4))  # the context is the weights, the query the scores
    weights = block(to_array(np.full((2, 4, 4), score, "float64"), dtype), to_array(memory, dtype),
                    to_array(lengths.astype("float64"), dtype)).asnumpy()  # (T, N, S)
    expected = [[1 / 4] * 4, [1 / 2, 1 / 2, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]  # the last has no valid step
    np.testing.assert_array_equal(weights, [expected, expected])


def test_float16_can_have_what_masks_the_padding():  # the block's Dense needs cuDNN to run in float16
    graph = MaskedAttention(4)(*map(mx.sym.var, ("query", "memory", "valid_length")))
    value, = [float(attributes["value"]) for attributes in graph.attr_dict().values() if "value" in attributes]
    scores = mx.nd.array([[[-6e4], [-6e4], [-6e4]]], dtype="float16")  # (N, S, T)
    scores.attach_grad()
    with mx.autograd.record():
        masked = mx.nd.SequenceMask(scores, mx.nd.array([2]), use_sequence_length=True, axis=1, value=value)
        weights = mx.nd.softmax(masked, axis=1)
    weights.backward(mx.nd.array([[[1], [0], [5]]], dtype="float16"))
    assert weights.asnumpy().ravel().tolist() == [1 / 2, 1 / 2, 0]
    assert scores.grad.asnumpy().ravel().tolist() == [1 / 4, -1 / 4, 0]


def test_takes_the_querys_width_from_the_first_call():
    block = MaskedAttention(4)
    block.initialize()
    block.hybridize()
    out = block(to_array(uniform(2, 3, 7)), to_array(uniform(5, 3, 4)), to_array(np.array([5, 1, 3])))
    assert out.shape == (2, 3, 4)
    assert [p.shape for p in block.collect_params().values()] == [(4, 7)]


def test_weight_is_drawn_by_xavier_whatever_the_models_initializer():
    mx.random.seed(1)
    block = MaskedAttention(40, 60)
    block.initialize(mx.init.One())
    weight, = values(block)
    bound = (3 / ((40 + 60) / 2)) ** 0.5
    assert 0.99 * bound < np.abs(weight).max() <= bound


TOP, BESIDE = uniform(4, 3, 5, seed=1), uniform(4, 3, 5, seed=2)


@pytest.mark.parametrize("hybridize", [False, True])
def test_attentional_output_is_a_tanh_layer_over_both_inputs(hybridize):
    block = initialized(AttentionalOutput(6, in_units=10), hybridize=hybridize)
    weight, bias = values(block)
    expected = trace(lambda top, context, weight, bias: affine(mx.nd.concat(top, context, dim=2), weight, bias).tanh(),
                     TOP, BESIDE, weight, bias, dtype="float64")
    assert_same(trace(block, TOP, BESIDE, block=block), expected)


def test_attentional_output_takes_its_width_from_the_first_call():
    block = AttentionalOutput(6)
    block.initialize()
    block.hybridize()
    assert block(to_array(TOP), to_array(BESIDE)).shape == (4, 3, 6)
    assert [p.shape for p in block.collect_params().values()] == [(6, 10), (6,)]


def test_attentional_output_drops_with_one_mask_per_sequence():
    mx.random.seed(1)
    block = initialized(AttentionalOutput(64, dropout=0.25, in_units=10), hybridize=True)
    plain = initialized(AttentionalOutput(64, in_units=10))
    full = plain(to_array(TOP), to_array(BESIDE)).asnumpy()
    assert (block(to_array(TOP), to_array(BESIDE)).asnumpy() == full).all()  # prediction
    with mx.autograd.record():
        out = block(to_array(TOP), to_array(BESIDE)).asnumpy()
    kept = out != 0
    assert (kept == kept[:1]).all() and (kept[0, 0] != kept[0, 1]).any()
    assert 0.6 < kept[0].mean() < 0.9
    assert_same([out], [full * kept / 0.75])
