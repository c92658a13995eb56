import json

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn as gluon_nn

from mxmp import nn
from mxmp.planning import Link, Profile, analytic, profile, tune

CPUS = [mx.cpu(0), mx.cpu(1)]


def chain_and_data(rows=6, steps=5):
    chain = nn.Chain()
    chain.add_named("embedding", nn.SequenceEmbedding(20, 4))
    chain.add_named("lstm", nn.LSTMLayer(8))
    chain.add_named("projection", nn.Projection(20, 8))
    return chain, mx.nd.ones((rows, steps), dtype="int32")


def test_every_layer_takes_time_in_both_directions_and_keeps_its_computed_cost():
    chain, tokens = chain_and_data()
    found = profile(chain, CPUS, tokens, cuts=[(1, 1), (3, 1)], repeats=1)
    for m, rows in ((1, 6), (3, 2)):
        costs = found.costs(m)
        assert all(cost.forward > 0 and cost.backward > 0 for cost in costs)
        for cost, known in zip(costs, analytic(chain, (rows, 5))):
            assert (cost.name, cost.flops, cost.sizes, cost.out_shapes) == (
                known.name, known.flops, known.sizes, known.out_shapes)


def test_time_chunks_and_a_loss():
    chain = nn.Chain()
    chain.add(nn.LSTMLayer(4, input_size=4), nn.LSTMLayer(4, input_size=4))
    calls = []

    def loss(out, label):
        calls.append((out.shape, label.shape))
        return (out - label) ** 2

    data, label = mx.nd.ones((10, 6, 4)), mx.nd.ones((10, 6, 4))
    found = profile(chain, CPUS[:1], data, loss=loss, labels=[label], cuts=[(2, 5), (1, 1)], layout="TNC", repeats=1)
    assert [cost.out_shapes for cost in found.costs(2, 5)] == [((2, 3, 4),)] * 2
    assert set(calls) == {((10, 3, 4),) * 2, ((10, 6, 4),) * 2}  # the loss sees the whole time


def test_values_contexts_and_gradient_requests_stay_as_they_were():
    chain, tokens = chain_and_data()
    chain.initialize(ctx=mx.cpu(1))
    chain(tokens.as_in_context(mx.cpu(1)))
    chain.layers["embedding"].collect_params().setattr("grad_req", "null")
    before = {p: p.data().asnumpy() for p in chain.collect_params().values()}
    profile(chain, CPUS, tokens, repeats=1)
    for p, value in before.items():
        assert p.list_ctx() == [mx.cpu(1)]
        np.testing.assert_array_equal(p.data().asnumpy(), value)
        assert p.grad_req == ("null" if "embedding" in p.name else "write")
        assert p.grad_req == "null" or not p.grad().asnumpy().any()


@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
def test_a_parameter_of_two_layers_stays_as_it_was(grad_req):
    first = gluon_nn.Dense(3, in_units=3, flatten=False)
    layers = [first, gluon_nn.Dense(3, in_units=3, flatten=False, params=first.params)]
    first.initialize(ctx=[mx.cpu(0), mx.cpu(1)])
    first.collect_params().setattr("grad_req", grad_req)
    profile(layers, CPUS, mx.nd.ones((2, 4, 3)), repeats=1)
    assert [(p.grad_req, p.list_ctx()) for p in first.collect_params().values()] == \
        [(grad_req, [mx.cpu(0), mx.cpu(1)])] * 2


def test_a_foreign_layer_of_unknown_work_is_measured_too():
    layers = [gluon_nn.Conv1D(3, 2, in_channels=4), gluon_nn.Lambda(lambda x: x * 2)]
    costs = profile(layers, CPUS[:1], mx.nd.ones((2, 4, 5)), repeats=1).costs()
    assert [bool(cost.note) for cost in costs] == [False, False]
    assert all(cost.forward > 0 for cost in costs)


class Opened(mx.gluon.Block):
    """Shapes and Python's own control flow, a mask that no gradient passes, None and a number beside the result."""

    def __init__(self):
        super().__init__()
        self.dense = gluon_nn.Dense(4)

    def forward(self, data):
        data = data.reshape((data.shape[0], -1))
        while float(data.abs().sum().asscalar()) < 100:  # whatever the first values are
            data = data * 2
        return self.dense(data), mx.nd.ones((data.shape[0], 1)), None, 3


class Closed(mx.gluon.Block):
    def forward(self, data, mask, nothing, factor):
        assert nothing is None
        return data * mask * factor


class Wide(mx.gluon.HybridBlock):
    """Works only as long as it is not hybridized."""

    def hybrid_forward(self, F, data):
        return data * data.shape[1]


def own_chain():
    chain = nn.Chain()
    chain.add_named("first", gluon_nn.Dense(6, flatten=False))
    chain.add_named("opened", Opened())
    chain.add_named("closed", Closed())
    chain.add_named("last", gluon_nn.Dense(2))
    return chain


def test_layers_that_work_on_arrays_only_are_measured_and_the_others_computed_beside_it():
    found = profile(own_chain(), CPUS, mx.nd.ones((8, 3, 5)), loss=mx.gluon.loss.L2Loss(), labels=[mx.nd.ones((8, 2))],
                    cuts=[(1, 1), (2, 1)], repeats=1)
    first, opened, closed, last = found.costs(2)
    assert all(cost.forward > 0 and cost.backward > 0 and not cost.note for cost in found.costs(2))
    assert (first.flops, last.flops) == (2 * 4 * 3 * 5 * 6, 2 * 4 * 4 * 2)
    assert [cost.parameters for cost in found.costs(2)] == [5 * 6 + 6, 3 * 6 * 4 + 4, 0, 4 * 2 + 2]
    assert (opened.flops, opened.out_shapes, opened.sent_bytes) == (0, ((4, 4), (4, 1)), 4 * 4 * (4 + 1))
    assert (closed.flops, closed.out_shapes, closed.activation_bytes) == (0, ((4, 4),), 4 * 4 * 4)
    for choice in tune(found.costs, CPUS, [1, 2], schedules=["1f1b"]):
        assert sum(choice.plan.counts) == 4


def test_layers_are_hybridized_unless_the_users_own_state_shall_stay():
    layers, data = [gluon_nn.Dense(6), Wide()], mx.nd.ones((4, 5))
    with pytest.raises(ValueError, match=r"layer '1' \(Wide\) cannot be measured: 'Symbol' object has no attribute "
                                         "'shape'; give hybridize=False"):
        profile(layers, CPUS[:1], data, repeats=1)
    layers[0].hybridize()
    layers[1].hybridize(False)
    costs = profile(layers, CPUS[:1], data, repeats=1, hybridize=False).costs()
    assert [cost.out_shapes for cost in costs] == [((4, 6),)] * 2 and all(cost.forward > 0 for cost in costs)
    assert [layer._active for layer in layers] == [True, False]


def test_a_layer_that_cannot_run_is_named():
    with pytest.raises(ValueError, match=r"layer '1' \(Dense\) cannot be measured: .*Shape inconsistent"):
        profile([gluon_nn.Dense(5), gluon_nn.Dense(4, in_units=6)], CPUS[:1], mx.nd.ones((4, 3)), repeats=1)


def test_a_file_brings_back_the_same_profile(tmp_path):
    chain, tokens = chain_and_data()
    found = profile(chain, CPUS, tokens, cuts=[(1, 1), (2, 1)], repeats=1)
    found.save(str(tmp_path / "profile.json"))
    assert Profile.load(str(tmp_path / "profile.json")) == found
    written = json.loads((tmp_path / "profile.json").read_text())
    assert {"cpu", "cores", "date", "mxnet", "contexts"} <= set(written["machine"])


def test_the_link_is_the_slowest_between_neighbours():
    found = Profile({"cpu": {}}, {"cpu-cpu": Link(1.0), "cpu-gpu": Link(2.0)}, {})
    assert found.link(CPUS) == Link(1.0)
    assert found.link([mx.cpu(0), mx.cpu(1), mx.gpu(0)]) == Link(2.0)
    assert found.link(CPUS[:1]) == Link()


def test_links_between_contexts_are_measured():
    chain, tokens = chain_and_data()
    link = profile(chain, CPUS, tokens, repeats=1).link(CPUS)
    assert link.latency > 0 and 0 < link.bytes_per_second < float("inf")


def test_says_what_was_not_measured():
    with pytest.raises(ValueError, match="no times for 4 micro-batches and 1 chunks on cpu; measured are 1 x 1, 2 x 1"):
        Profile({"cpu": {(1, 1): [], (2, 1): []}}, {}, {}).costs(4)


@pytest.mark.parametrize("text", ["", "{}", '{"layers": 3, "links": {}, "machine": {}}', '{"layers": {"cpu": [{}]}}'])
def test_says_that_a_file_is_no_profile(tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="odd.json is no profile that this version wrote"):
        Profile.load(str(path))


@pytest.mark.parametrize("given, message", [
    ({"contexts": []}, "there are no contexts to measure on"),
    ({"contexts": mx.cpu(0)}, r"contexts must be a sequence of contexts, .*; got cpu\(0\)"),
    ({"contexts": "cpu(0)"}, r"contexts must be a sequence of contexts, .*; got 'cpu\(0\)'"),
    ({"cuts": [(7, 1)]}, r"an input of shape \(6, 5\) cannot be cut into 7 parts along axis 0"),
    ({"cuts": [(1, 6)]}, r"cannot be cut into 6 parts along axis 1"),
])
def test_says_what_cannot_be_measured(given, message):
    chain, tokens = chain_and_data()
    with pytest.raises(ValueError, match=message):
        profile(chain, given.pop("contexts", CPUS), tokens, repeats=1, **given)


def test_a_softmax_that_spans_contexts_is_measured_on_all_of_them_and_stays_there():
    chain, tokens = chain_and_data()
    layers = list(chain.layers.values())[:2]
    loss = nn.ShardedSoftmaxLoss(20, CPUS)
    found = profile(layers, CPUS, tokens, loss=loss, labels=[tokens], repeats=1)
    alone = profile(layers, CPUS, tokens, repeats=1)
    assert found.costs(1)[-1].parameters == alone.costs(1)[-1].parameters + 10 * 8 + 10
    assert loss.contexts == [shard.weight.data().context for shard in loss.shards] == CPUS
    again = profile(layers, CPUS, tokens, loss=loss, labels=[tokens], repeats=1)
    assert again.costs(1)[-1].sizes == found.costs(1)[-1].sizes
    assert loss.contexts == CPUS
