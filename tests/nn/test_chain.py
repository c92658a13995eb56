import mxnet as mx
import pytest
from helpers.plain import assert_same, initialized, lstm_from_zeros, trace, uniform, values

from mxmp.nn import Chain, ContextLSTM, LSTMLayer, Select


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
