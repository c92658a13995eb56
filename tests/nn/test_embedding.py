import mxnet as mx
import numpy as np
import pytest
from helpers.plain import affine, assert_same, initialized, to_array, trace, uniform, values

from mxmp.nn import Projection, SequenceEmbedding

TOKENS = np.array([[3, 0, 3, 5], [1, 3, 9, 0]])  # (N, T); a token may come again


@pytest.mark.parametrize("hybridize", [False, True])
def test_takes_scaled_rows_time_first(hybridize):
    block = initialized(SequenceEmbedding(10, 6), hybridize=hybridize)
    table, = values(block)
    out, grad = trace(block, TOKENS, block=block)
    head, expected = uniform(4, 2, 6, seed=200), np.zeros((10, 6))
    for n in range(2):
        for t in range(4):
            expected[TOKENS[n, t]] += 6 ** 0.5 * head[t, n]
    assert_same([out, grad], [6 ** 0.5 * table[TOKENS.T], expected])


@pytest.mark.parametrize("hybridize", [False, True])
def test_a_token_outside_the_vocabulary_counts_as_the_nearest_inside(hybridize):
    block = initialized(SequenceEmbedding(10, 6), hybridize=hybridize)
    odd = np.array([[-1, 0, 9, 10], [-1000, 3, 1000, 9]])
    assert_same(trace(block, odd, block=block), trace(block, np.clip(odd, 0, 9), block=block))


def test_the_table_is_drawn_with_a_deviation_of_a_quarter():
    mx.random.seed(1)
    block = SequenceEmbedding(1000, 64)
    block.initialize(mx.init.One())
    out = block(to_array(np.arange(1000).reshape(1, 1000))).asnumpy()
    assert abs(out.mean()) < 0.04 and abs(out.std() - 64 ** 0.5 / 4) < 0.04


def test_a_shared_table_is_one_parameter():
    first = SequenceEmbedding(10, 6)
    second = SequenceEmbedding(10, 6, shared=first)
    assert second.table.weight is first.table.weight
    assert list(second.collect_params().values()) == list(first.collect_params().values())


def test_gradients_through_a_shared_table_add_up():
    first = initialized(SequenceEmbedding(10, 6), hybridize=True)
    second = SequenceEmbedding(10, 6, shared=first)
    others = (TOKENS + 1) % 7
    out = trace(lambda *tokens: [first(tokens[0]), second(tokens[1])], TOKENS, others, block=first)
    expected = trace(lambda table: [6 ** 0.5 * mx.nd.take(table, mx.nd.array(tokens.T)) for tokens in (TOKENS, others)],
                     *values(first), dtype="float64")
    assert_same(out, expected)


def test_dropout_has_one_mask_per_sequence():
    mx.random.seed(1)
    block = initialized(SequenceEmbedding(10, 64, dropout=0.25), hybridize=True)
    plain = initialized(SequenceEmbedding(10, 64))
    full = plain(to_array(TOKENS)).asnumpy()
    assert (block(to_array(TOKENS)).asnumpy() == full).all()  # prediction
    with mx.autograd.record():
        out = block(to_array(TOKENS)).asnumpy()
    kept = out != 0
    assert (kept == kept[:1]).all() and (kept[0, 0] != kept[0, 1]).any()
    assert 0.6 < kept[0].mean() < 0.9
    assert_same([out], [full * kept / 0.75])


TOP = uniform(4, 3, 5, seed=1)


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
