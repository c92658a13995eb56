"""Where parameters live, what they are called, and the file they are written to."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS
from mxnet import gluon

from mxmp.nn import Chain
from mxmp.pipeline import parameters
from mxmp.pipeline.stage import Stage


class Weighted(gluon.loss.Loss):
    """A loss with a parameter of its own."""

    def __init__(self):
        super().__init__(None, 0)
        with self.name_scope():
            self.scale = self.params.get("scale", shape=(1,), init="ones")


def dense(shared=None):
    return gluon.nn.Dense(3, in_units=3, flatten=False, params=shared and shared.params)


def chain_of(*layers):
    chain = Chain()
    for i, layer in enumerate(layers):
        chain.add_named(f"layer{i}", layer)
    return chain


def stages_of(chain, counts, loss=None, contexts=CONTEXTS):
    """The chain's layers on as many contexts as there are counts, as a pipeline makes them."""
    layers, stages = list(chain.layers.items()), []
    for i, count in enumerate(counts):
        stages.append(Stage(i, dict(layers[:count]), contexts[i], loss if i == len(counts) - 1 else None))
        del layers[:count]
    return stages


def shared_chain():
    """The first layer's weight and bias are the third's, too."""
    first = dense()
    return chain_of(first, dense(), dense(first))


def test_every_parameter_is_placed_on_its_layers_context_in_the_chains_order():
    layers = [dense() for _ in range(3)]
    placed = parameters.contexts_of(stages_of(chain_of(*layers), (2, 1)))
    assert list(placed.items()) == [(p, [CONTEXTS[i // 2]]) for i, layer in enumerate(layers)
                                    for p in (layer.weight, layer.bias)]


@pytest.mark.parametrize("counts, places", [((3,), [0]), ((1, 2), [0, 1]), ((2, 1), [0, 1]), ((1, 1, 1), [0, 2])])
def test_a_shared_parameter_is_placed_once_on_each_context_of_its_layers(counts, places):
    chain = shared_chain()
    placed = parameters.contexts_of(stages_of(chain, counts))
    assert len(placed) == 4
    assert placed[chain[0].weight] == placed[chain[0].bias] == [CONTEXTS[i] for i in places]


def test_two_stages_on_one_context_share_one_copy():
    chain, (here, there, *_) = shared_chain(), CONTEXTS
    assert parameters.contexts_of(stages_of(chain, (1, 1, 1), contexts=[here, there, here]))[chain[0].weight] == [here]


def test_a_losss_parameter_is_placed_on_the_last_context():
    loss = Weighted()
    assert parameters.contexts_of(stages_of(chain_of(dense(), dense()), (1, 1), loss))[loss.scale] == [CONTEXTS[1]]


@pytest.mark.parametrize("counts", [(3,), (1, 2), (1, 1, 1)])
def test_names_are_places_in_the_chain_whatever_the_plan_a_shared_one_has_its_first(counts):
    chain, loss = shared_chain(), Weighted()
    assert parameters.names(stages_of(chain, counts, loss)) == {
        chain[0].weight: "layer0.weight", chain[0].bias: "layer0.bias", chain[1].weight: "layer1.weight",
        chain[1].bias: "layer1.bias", loss.scale: "loss.scale"}


def test_a_layer_that_is_called_loss_keeps_its_parameters_names():
    chain, loss = Chain(), Weighted()
    chain.add_named("loss", dense())
    assert set(parameters.names(stages_of(chain, (1,), loss)).values()) == {"loss.weight", "loss.bias", "loss.scale"}


def test_initial_values_are_drawn_in_the_chains_order_whatever_the_plan():
    drawn = []
    for counts in ((3,), (1, 1, 1)):
        chain = shared_chain()
        placed = parameters.contexts_of(stages_of(chain, counts))
        mx.random.seed(3)
        parameters.initialize(placed, mx.init.Normal(2), False)
        assert all(p.list_ctx() == contexts for p, contexts in placed.items())
        drawn.append([array.asnumpy() for p in placed for array in p.list_data()[:1]])
        first, *others = chain[0].weight.list_data()
        assert all(np.array_equal(first.asnumpy(), other.asnumpy()) for other in others)
    for one, other in zip(*drawn):
        np.testing.assert_array_equal(one, other)
    assert np.abs(drawn[0][0]).max() > 1  # Normal(2), not the default


@pytest.mark.filterwarnings("ignore:.*already initialized")
@pytest.mark.parametrize("again", [False, True])
def test_initializing_twice_changes_values_only_if_forced(again):
    chain = chain_of(dense())
    placed = parameters.contexts_of(stages_of(chain, (1,)))
    parameters.initialize(placed, None, False)
    before = chain[0].weight.data().asnumpy()
    parameters.initialize(placed, None, again)
    assert np.array_equal(before, chain[0].weight.data().asnumpy()) != again


def test_values_move_with_their_parameters():
    chain = shared_chain()
    chain.initialize(mx.init.Normal(1), ctx=CONTEXTS[3])
    before = {p: p.data().asnumpy() for p in chain.collect_params().values()}
    placed = parameters.contexts_of(stages_of(chain, (2, 1)))
    parameters.move_to(placed)
    for p, contexts in placed.items():
        assert p.list_ctx() == contexts
        for copy in p.list_data():
            np.testing.assert_array_equal(copy.asnumpy(), before[p])


@pytest.mark.parametrize("counts", [(3,), (1, 2), (1, 1, 1)])
def test_a_file_loads_into_the_plain_chain_and_under_any_plan(tmp_path, counts):
    chain, path = shared_chain(), str(tmp_path / "chain.params")
    placed = parameters.contexts_of(stages_of(chain, counts))
    parameters.initialize(placed, mx.init.Normal(1), False)
    parameters.save(path, chain)
    expected = {name: p.list_data()[0].asnumpy() for name, p in chain._collect_params_with_prefix().items()}
    assert len(expected) == 6
    for other in (None, (3,), (2, 1)):
        plain = shared_chain()
        if other:
            parameters.initialize(parameters.contexts_of(stages_of(plain, other)), None, False)
        plain.load_parameters(path)
        for name, p in plain._collect_params_with_prefix().items():
            for copy in p.list_data():
                np.testing.assert_array_equal(copy.asnumpy(), expected[name], err_msg=name)


def test_three_equal_copies_are_written_without_rounding(tmp_path):
    first, path = dense(), str(tmp_path / "chain.params")
    chain = chain_of(first, dense(first), dense(first))
    parameters.initialize(parameters.contexts_of(stages_of(chain, (1, 1, 1))), None, False)
    values = np.random.RandomState(0).uniform(-1, 1, (3, 3)).astype("float32")
    chain[0].weight.set_data(mx.nd.array(values))
    parameters.save(path, chain)
    np.testing.assert_array_equal(mx.nd.load(path)["layer0.weight"].asnumpy(), values)
