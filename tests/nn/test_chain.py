"""A chain of layers, and its wiring: which of its arrays a block takes, and which axis comes first."""
import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, initialized, lstm_from_zeros, trace, uniform, values

from mxmp.nn import Chain, ContextLSTM, LSTMLayer, Select, TimeFirst


def build_chain():
    """Two layers of two inputs each: the second reads the context that the first carries along."""
    chain = Chain()
    with chain.name_scope():
        chain.add_named("bottom", Select(LSTMLayer(4, input_size=4), take=(0,), keep=(1,)))
        chain.add_named("top", Select(ContextLSTM(3, input_size=8), take=(0, 1)))
    return chain


@pytest.mark.parametrize("hybridize", [False, True])
def test_what_a_layer_returns_the_next_one_takes(hybridize):
    chain = initialized(build_chain(), hybridize=hybridize)

    def expected(data, context, bottom, top):
        return lstm_from_zeros(mx.nd.concat(lstm_from_zeros(data, bottom, 4), context, dim=2), top, 3)

    inputs = uniform(6, 3, 4, seed=1), uniform(6, 3, 4, seed=2)
    assert_same(trace(chain, *inputs, block=chain), trace(expected, *inputs, *values(chain), dtype="float64"))


def test_returns_a_tuple_only_of_several_arrays():
    chain, data = Chain(), mx.nd.ones((1,))
    chain.add_named("copy", Select(mx.gluon.nn.Lambda("identity"), take=(0,)))
    assert isinstance(chain(data), mx.nd.NDArray)
    chain.add_named("two", Select(mx.gluon.nn.Lambda("identity"), take=(0,), keep=(0,)))
    assert isinstance(chain(data), tuple) and len(chain(data)) == 2


def test_layers_have_the_names_and_the_order_in_which_they_were_added():
    chain = build_chain()
    chain.add(mx.gluon.nn.Dropout(0.5))
    assert list(chain.layers) == ["bottom", "top", "2"]
    assert [chain.layers["bottom"], chain.layers["top"]] == [chain[0], chain[1]]


def test_parameter_files_go_by_the_layers_names(tmp_path):
    first, second = initialized(build_chain()), initialized(build_chain())
    for parameter in second.collect_params().values():
        parameter.set_data(0 * parameter.data())
    path = str(tmp_path / "chain.params")
    first.save_parameters(path)
    second.load_parameters(path)
    assert sorted(mx.nd.load(path)) == ["bottom.block.parameters", "top.block.lstm.parameters"]
    assert_same(values(second), values(first), rtol=0, atol=0)


def test_no_name_is_given_twice():
    chain = build_chain()
    with pytest.raises(ValueError, match="top"):
        chain.add_named("top", LSTMLayer(4))
    assert len(chain.layers) == 2


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
