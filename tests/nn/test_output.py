import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, initialized, to_array, trace, uniform, values

from mxmp.nn import AttentionalOutput, Projection, SequenceEmbedding

TOP, CONTEXT = uniform(4, 3, 5, seed=1), uniform(4, 3, 5, seed=2)


def affine(data, weight, bias):
    """(T, N, C) to (T, N, U), row by row."""
    return mx.nd.stack(*(mx.nd.dot(step, weight.T) + bias.expand_dims(0) for step in data))


@pytest.mark.parametrize("hybridize", [False, True])
def test_attentional_output_is_a_tanh_layer_over_both_inputs(hybridize):
    block = initialized(AttentionalOutput(6, in_units=10), hybridize=hybridize)
    weight, bias = values(block)
    expected = trace(lambda top, context, weight, bias: affine(mx.nd.concat(top, context, dim=2), weight, bias).tanh(),
                     TOP, CONTEXT, weight, bias, dtype="float64")
    assert_same(trace(block, TOP, CONTEXT, block=block), expected)


def test_attentional_output_takes_its_width_from_the_first_call():
    block = AttentionalOutput(6)
    block.initialize()
    block.hybridize()
    assert block(to_array(TOP), to_array(CONTEXT)).shape == (4, 3, 6)
    assert [p.shape for p in block.collect_params().values()] == [(6, 10), (6,)]


def test_attentional_output_drops_with_one_mask_per_sequence():
    mx.random.seed(1)
    block = initialized(AttentionalOutput(64, dropout=0.25, in_units=10), hybridize=True)
    plain = initialized(AttentionalOutput(64, in_units=10))
    full = plain(to_array(TOP), to_array(CONTEXT)).asnumpy()
    assert (block(to_array(TOP), to_array(CONTEXT)).asnumpy() == full).all()  # prediction
    with mx.autograd.record():
        out = block(to_array(TOP), to_array(CONTEXT)).asnumpy()
    kept = out != 0
    assert (kept == kept[:1]).all() and (kept[0, 0] != kept[0, 1]).any()
    assert 0.6 < kept[0].mean() < 0.9
    assert_same([out], [full * kept / 0.75])


@pytest.mark.parametrize("hybridize", [False, True])
def test_projection_is_an_affine_map(hybridize):
    block = initialized(Projection(7, 5), hybridize=hybridize)
    assert_same(trace(block, TOP, block=block), trace(affine, TOP, *values(block), dtype="float64"))


@pytest.mark.parametrize("hybridize", [False, True])
def test_gradients_of_a_table_shared_with_the_embedding_add_up(hybridize):
    chain = mx.gluon.nn.HybridSequential()
    embedding = SequenceEmbedding(7, 5)
    chain.add(embedding, Projection(7, 5, shared=embedding))
    initialized(chain, hybridize=hybridize)
    table, bias = chain.collect_params().values()
    assert table is embedding.table.weight is chain[1].dense.weight
    assert bias is chain[1].dense.bias and bias.shape == (7,)
    tokens = np.array([[3, 0, 3, 5], [1, 3, 6, 0]])
    expected = trace(lambda table, bias: affine(5 ** 0.5 * mx.nd.take(table, mx.nd.array(tokens.T)), table, bias),
                     *values(chain), dtype="float64")
    assert_same(trace(chain, tokens, block=chain), expected)


def test_a_shared_projection_keeps_the_embeddings_first_values():
    mx.random.seed(1)
    chain = mx.gluon.nn.HybridSequential()
    embedding = SequenceEmbedding(1000, 64)
    projection = Projection(1000, 64, shared=embedding)
    chain.add(embedding, projection)
    chain.initialize()
    assert abs(embedding.table.weight.data().asnumpy().std() * 4 - 1) < 0.02
    assert not projection.dense.bias.data().asnumpy().any()
