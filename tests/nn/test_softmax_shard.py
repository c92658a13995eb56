import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, initialized, to_array, trace, uniform

from mxmp.nn.sharded_softmax import SoftmaxShard


def shard(tokens=range(3, 7), add_up=True, units=5, vocab=9):
    return initialized(SoftmaxShard(tokens, vocab, mx.cpu(0), units, add_up, None, {}, "float32"))


def logits_of(block, data):
    return data @ block.weight.data().asnumpy().T + block.bias.data().asnumpy()


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("add_up", [False, True])
def test_gives_what_a_softmax_over_all_rows_needs(add_up, hybridize):
    block = shard(add_up=add_up)
    if hybridize:
        block.hybridize()
    data, label = uniform(2, 3, 5), np.array([[-3, 0, 3], [2, 4, 5]])  # of the tokens 3 to 6, counted from the first
    logits = logits_of(block, data)
    logit = np.take_along_axis(logits, np.clip(label, 0, 3)[:, :, None], -1)[:, :, 0]
    expected = [logit, logit - np.log(np.exp(logits).sum(-1))] + ([logits.sum(-1)] if add_up else [])
    assert_same([array.asnumpy() for array in block(to_array(data), to_array(label))], expected, atol=1e-5)
    np.testing.assert_array_equal(block.has(to_array(label)).asnumpy(), [[0, 1, 1], [1, 0, 0]])


@pytest.mark.parametrize("label", [-3, 0, 3, 5])
def test_a_logits_gradient_is_its_share_and_the_targets(label):
    block = shard()
    data = uniform(1, 1, 5)
    logits = logits_of(block, data)[0, 0]
    heads = [uniform(1, 1, seed=200 + i)[0, 0] for i in range(3)]  # those that trace gives the outputs
    grad = -heads[1] * np.exp(logits) / np.exp(logits).sum() + heads[2]
    grad[np.clip(label, 0, 3)] += heads[0] + heads[1]
    actual = trace(block, data, np.array([[label]]), block=block)[3:]
    assert_same(actual, [(grad @ block.weight.data().asnumpy())[None, None], np.outer(grad, data[0, 0]), grad],
                atol=1e-5)


def test_its_best_tokens_are_numbered_as_in_the_whole_vocabulary():
    block = shard()
    data = uniform(2, 5)
    log_sum, values, tokens = block.top_k(to_array(data), 10)  # it has four
    logits = logits_of(block, data)
    assert_same([log_sum.asnumpy(), values.asnumpy()], [np.log(np.exp(logits).sum(-1)), -np.sort(-logits)], atol=1e-5)
    np.testing.assert_array_equal(tokens.asnumpy(), 3 + np.argsort(-logits))
