"""Which of a chain's arrays a block takes, and which axis comes first."""
import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, initialized, trace, uniform, values

from mxmp.nn import ContextLSTM, Select, TimeFirst


class Call(mx.gluon.Block):
    """Any function as a block."""

    def __init__(self, function):
        super().__init__(prefix="call_")
        self._function = function

    def forward(self, *arrays):
        return self._function(*arrays)


def numbers(arrays):
    return [int(array.asscalar()) for array in arrays]


@pytest.fixture
def arrays():
    return [mx.nd.array([number]) for number in (1, 2, 3, 4)]


def test_gives_the_block_what_it_takes_in_that_order(arrays):
    select = Select(Call(lambda a, b: 10 * a + b), take=(2, 0))
    assert numbers(select(*arrays)) == [31]


def test_hands_on_the_very_arrays_it_keeps_after_the_result(arrays):
    out = Select(Call(lambda a: 10 * a), take=(1,), keep=(3, 1))(*arrays)
    assert numbers(out) == [20, 4, 2]
    assert out[1] is arrays[3] and out[2] is arrays[1]


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_block_may_return_several_arrays(arrays, kind):
    out = Select(Call(lambda a, b: kind((b, a))), take=(0, 1), keep=(0,))(*arrays)
    assert isinstance(out, tuple) and numbers(out) == [2, 1, 1]


@pytest.mark.parametrize("take, keep, needed", [((0, 2), (), 3), ((0,), (1, 3), 4)])
def test_says_how_many_arrays_it_needs(arrays, take, keep, needed):
    select = Select(Call(lambda *taken: taken), take, keep)
    with pytest.raises(ValueError, match=f"^call needs {needed} arrays from the layer before it, got {needed - 1}"):
        select(*arrays[:needed - 1])
    assert len(select(*arrays[:needed])) == len(take) + len(keep)


@pytest.mark.parametrize("hybridize", [False, True])
def test_gradients_pass_through_block_and_kept_arrays(hybridize):
    lstm = initialized(ContextLSTM(4, input_size=8), hybridize=hybridize)
    select = Select(lstm, take=(1, 0), keep=(0,))
    if hybridize:
        select.hybridize()
    data, context = uniform(6, 3, 4, seed=1), uniform(6, 3, 4, seed=2)
    plain = initialized(ContextLSTM(4, input_size=8))
    assert values(plain)[0].tolist() == values(lstm)[0].tolist()
    assert_same(trace(select, context, data, block=select),
                trace(lambda context, data: (plain(data, context), context), context, data, block=plain))


def test_owns_the_blocks_parameters():
    lstm = ContextLSTM(4, input_size=8)
    assert list(Select(lstm, (0, 1)).collect_params().values()) == [lstm.lstm.parameters]


def test_twice_is_the_array_again_and_once_is_its_transpose():
    data = np.random.RandomState(0).rand(2, 3, 4).astype("float32")
    block = TimeFirst()
    block.hybridize()
    once = block(mx.nd.array(data))
    np.testing.assert_array_equal(once.asnumpy(), data.transpose(1, 0, 2))
    np.testing.assert_array_equal(block(once).asnumpy(), data)
