import mxnet as mx
import pytest
from mxnet.gluon import nn as gluon_nn

from mxmp import nn
from mxmp.planning import LayerCost, analytic

T, S, N = 7, 6, 2  # target steps, source steps, rows
STEPS = [(T, N, 3)]


def cost(layer, *shapes):
    """Cost of one layer, without its name."""
    one, = analytic([layer], *shapes)
    return one.flops, one.parameters, one.out_shapes


# A product of (a, b) with (b, c) is 2abc operations; biases are added element by element and count nothing.
# An LSTM of width H over an input of width C has 4H x (C + H) weights and two biases of 4H.
@pytest.mark.parametrize("layer, shapes, parameters, width", [
    (nn.LSTMLayer(5), STEPS, 4 * 5 * (3 + 5 + 2), 5),
    (nn.BidirectionalLSTM(5), STEPS + [(N,)], 2 * 4 * 5 * (3 + 5 + 2), 10),
    (nn.ContextLSTM(5), 2 * STEPS, 4 * 5 * (6 + 5 + 2), 5),
    (nn.Residual(nn.LSTMLayer(3)), STEPS, 4 * 3 * (3 + 3 + 2), 3),
    (nn.Residual(nn.ContextLSTM(3)), 2 * STEPS, 4 * 3 * (6 + 3 + 2), 3),
    (nn.StackedLSTM(5), STEPS, 4 * 5 * (3 + 5 + 2), 5),
    (mx.gluon.rnn.LSTM(5), STEPS, 4 * 5 * (3 + 5 + 2), 5),
], ids=["LSTMLayer", "BidirectionalLSTM", "ContextLSTM", "Residual", "Residual of ContextLSTM", "StackedLSTM",
        "gluon.rnn.LSTM"])
def test_recurrent_layers(layer, shapes, parameters, width):
    weights = parameters - 2 * 4 * width
    assert cost(layer, *shapes) == (2 * weights * T * N, parameters, ((T, N, width),))


@pytest.mark.parametrize("make, ins", [(lambda layout: nn.LSTMLayer(5, layout=layout), 1),
                                       (lambda layout: nn.ContextLSTM(5, layout=layout), 2),
                                       (lambda layout: nn.Residual(nn.LSTMLayer(3, layout=layout)), 1),
                                       (lambda layout: nn.StackedLSTM(5, 2, layout=layout), 1),
                                       (lambda layout: mx.gluon.rnn.LSTM(5, 2, layout=layout), 1)])
def test_batch_first_layers_do_the_same_work(make, ins):
    first, = analytic([make("TNC")], *[(T, N, 3)] * ins)
    turned, = analytic([make("NTC")], *[(N, T, 3)] * ins)
    assert (turned.flops, turned.parameters, turned.steps) == (first.flops, first.parameters, first.steps)
    assert turned.out_shapes == ((N, T, first.out_shapes[0][2]),)


def test_a_batch_first_layer_in_both_directions_does_the_same_work():
    first, = analytic([nn.BidirectionalLSTM(5)], (T, N, 3), (N,))
    turned, = analytic([nn.BidirectionalLSTM(5, layout="NTC")], (N, T, 3), (N,))
    assert (turned.flops, turned.steps, turned.out_shapes) == (first.flops, T, ((N, T, 10),))


def test_dense():
    assert cost(gluon_nn.Dense(5, flatten=False), (T, N, 3)) == (2 * 3 * 5 * T * N, 3 * 5 + 5, ((T, N, 5),))
    assert cost(gluon_nn.Dense(5), (N, T, 3)) == (2 * 3 * T * 5 * N, 3 * T * 5 + 5, ((N, 5),))


def test_embedding_looks_up_and_computes_nothing():
    assert cost(nn.SequenceEmbedding(100, 4), (N, T)) == (0, 100 * 4, ((T, N, 4),))


def test_attention():
    projection, scores, contexts = 2 * 3 * 4 * T * N, 2 * T * S * 4 * N, 2 * T * S * 4 * N
    assert cost(nn.MaskedAttention(4), (T, N, 3), (S, N, 4), (N,)) == (
        projection + scores + contexts, 3 * 4, ((T, N, 4),))


def test_attentional_output():
    assert cost(nn.AttentionalOutput(5), (T, N, 3), (T, N, 3)) == (2 * 6 * 5 * T * N, 6 * 5 + 5, ((T, N, 5),))


def test_projection():
    assert cost(nn.Projection(100, 3), (T, N, 3)) == (2 * 3 * 100 * T * N, 3 * 100 + 100, ((T, N, 100),))


def test_select_costs_what_its_block_costs():
    attention = nn.MaskedAttention(4)
    flops, parameters, (out,) = cost(attention, (T, N, 3), (S, N, 4), (N,))
    select = nn.Select(attention, take=(2, 0, 1), keep=(0, 3))
    assert cost(select, (S, N, 4), (N,), (T, N, 3), (9, 9)) == (flops, parameters, (out, (S, N, 4), (9, 9)))


def test_layers_without_parameters_cost_nothing():
    assert cost(gluon_nn.Dropout(0.5), (T, N, 3)) == (0, 0, ((T, N, 3),))


def test_a_chain_hands_shapes_on_and_names_its_layers():
    chain = nn.Chain()
    chain.add_named("embedding", nn.SequenceEmbedding(100, 4))
    chain.add_named("lstm", nn.Residual(nn.LSTMLayer(4)))
    chain.add_named("projection", nn.Projection(50, 4))
    assert [(c.name, c.out_shapes) for c in analytic(chain, (N, T))] == [
        ("embedding", ((T, N, 4),)), ("lstm", ((T, N, 4),)), ("projection", ((T, N, 50),))]


def test_a_list_of_layers_is_numbered():
    layers = [gluon_nn.Dense(5, prefix="a_"), gluon_nn.Dense(2, prefix="b_")]
    assert analytic(layers, (N, 3)) == [
        LayerCost("0", 2 * 3 * 5 * N, {"a_weight": 15, "a_bias": 5}, ((N, 5),), sent_bytes=4 * 5 * N,
                  activation_bytes=4 * (3 + 5) * N),
        LayerCost("1", 2 * 5 * 2 * N, {"b_weight": 10, "b_bias": 2}, ((N, 2),), sent_bytes=4 * 2 * N,
                  activation_bytes=4 * 2 * N)]


def test_all_arrays_that_a_layer_hands_on_are_sent():
    select = nn.Select(gluon_nn.Dense(4, flatten=False), take=(0,), keep=(1,))
    sent, = analytic([select], mx.nd.ones((T, N, 3)), mx.nd.ones((N, S), dtype="float64"))
    assert sent.sent_bytes == 4 * T * N * 4 + 8 * N * S


def test_types_decide_about_bytes():
    layer = gluon_nn.Dense(4, dtype="float16", flatten=False)
    cost, = analytic([layer], mx.nd.ones((N, 3), dtype="float16"))
    assert (cost.itemsize, cost.sent_bytes) == (2, 2 * N * 4)


def test_time_steps_follow_each_other_in_every_recurrent_layer():
    layers = [nn.SequenceEmbedding(9, 3), nn.LSTMLayer(3), nn.Residual(nn.LSTMLayer(3)), mx.gluon.rnn.GRU(3, 2)]
    assert [cost.steps for cost in analytic(layers, (N, T))] == [0, T, T, 2 * T]


@pytest.mark.parametrize("layer, gates", [(mx.gluon.rnn.GRU(5, 2), 3), (mx.gluon.rnn.RNN(5, 2), 1),
                                          (mx.gluon.rnn.LSTM(5, 2), 4)])
def test_stacked_recurrent_layers(layer, gates):
    weights = gates * 5 * (3 + 5) + gates * 5 * (5 + 5)
    assert cost(layer, *STEPS)[0] == 2 * weights * T * N


def test_layers_in_a_sequence_add_up():
    inner = gluon_nn.HybridSequential()
    inner.add(gluon_nn.Dense(5, in_units=3), gluon_nn.LayerNorm(in_channels=5), gluon_nn.Dense(2, in_units=5))
    found, = analytic([inner], (N, 3))
    assert found.flops == 2 * N * (3 * 5 + 5 * 2) and not found.note
    assert found.activation_bytes == 4 * N * (3 + 5 + 5 + 2)


def test_a_softmax_loss_keeps_an_array_as_large_as_its_input():
    layers = [gluon_nn.Dense(5, flatten=False), nn.Projection(50, 5)]
    alone, with_loss = (analytic(layers, (T, N, 3), loss=loss) for loss in (None, nn.LabelSmoothedLoss()))
    assert with_loss[0] == alone[0]
    assert with_loss[1].activation_bytes == alone[1].activation_bytes + 4 * T * N * 50


def test_a_layer_of_an_unknown_kind_has_a_note():
    found, = analytic([gluon_nn.Conv1D(4, 2, in_channels=3)], (N, 3, T))
    assert found.note.startswith("a Conv1D is of a kind whose work is not known; measure it")
    assert (found.flops, found.parameters, found.out_shapes) == (0, 4 * 3 * 2 + 4, ((N, 4, T - 1),))


class OfArrays(mx.gluon.Block):
    """A user's block that asks arrays for their shape."""

    def __init__(self):
        super().__init__()
        self.dense = gluon_nn.Dense(4)

    def forward(self, data):
        return self.dense(data.reshape((data.shape[0], -1)))


@pytest.mark.parametrize("around", [lambda layer: layer, lambda layer: nn.Select(layer, (0,))])
def test_a_layer_that_works_on_arrays_only_is_named(around):
    chain = nn.Chain()
    chain.add_named("first", gluon_nn.Dense(6, flatten=False))
    chain.add_named("own", around(OfArrays()))
    with pytest.raises(ValueError, match=r"layer 'own' \((OfArrays|Select)\) cannot be computed from shapes \('Symbol' "
                                         r"object has no attribute 'shape'\); measure it with planning.profile"):
        analytic(chain, (N, 3, 5))


def test_a_layer_that_cannot_take_what_comes_is_named():
    layers = [gluon_nn.Dense(5), gluon_nn.Dense(4, in_units=6)]
    with pytest.raises(ValueError, match=r"layer '1' \(Dense\) cannot be computed from shapes \(MXNetError: .*"
                                         r"Shape inconsistent"):
        analytic(layers, (N, 3))


class HasMore(mx.gluon.HybridBlock):
    """A user's block with a parameter that its graph lacks."""

    def __init__(self):
        super().__init__()
        self.unused = self.params.get("unused", shape=(7, 2))
        self.weight = self.params.get("weight", shape=(5, 3))

    def hybrid_forward(self, F, data, unused, weight):
        return F.FullyConnected(data, weight, no_bias=True, num_hidden=5)


def test_a_parameter_that_the_graph_lacks_has_its_size():
    found, = analytic([HasMore()], (N, 3))
    assert sorted(found.sizes.values()) == [7 * 2, 5 * 3]


def test_a_shared_parameter_has_one_name_in_all_its_layers():
    embedding = nn.SequenceEmbedding(100, 4)
    chain = [embedding, nn.LSTMLayer(4), nn.Projection(100, 4, shared=embedding)]
    costs = analytic(chain, (N, T))
    assert [c.parameters for c in costs] == [100 * 4, 4 * 4 * (4 + 4 + 2), 100 * 4 + 100]
    assert set(costs[0].sizes) < set(costs[2].sizes)
    assert analytic(chain, (N, T))[2].flops == 2 * 4 * 100 * T * N


def test_layers_of_one_name_are_still_two_layers():
    chain = [gluon_nn.Dense(4, prefix="dense_"), gluon_nn.Dense(4, prefix="dense_")]
    costs = analytic(chain, (N, 3))
    assert [c.parameters for c in costs] == [3 * 4 + 4, 4 * 4 + 4]
    assert not set(costs[0].sizes) & set(costs[1].sizes)


def test_needs_no_values_and_leaves_none():
    layers = [nn.LSTMLayer(5), gluon_nn.Dense(4, flatten=False)]
    analytic(layers, *STEPS)
    assert layers[0].parameters.shape == (0,) and layers[1].weight.shape == (4, 0)
    for layer in layers:
        layer.initialize()
        layer.hybridize()
    data = layers[1](layers[0](mx.nd.ones((2, 1, 3))))
    assert data.shape == (2, 1, 4)
    assert [c.out_shapes for c in analytic(layers, *STEPS)] == [((T, N, 5),), ((T, N, 4),)]


def test_counts_the_running_statistics_of_a_batch_norm():
    assert cost(gluon_nn.BatchNorm(), (N, 3))[1:] == (4 * 3, ((N, 3),))


def test_agrees_with_the_arrays_of_an_initialized_chain():
    layers = [nn.SequenceEmbedding(100, 4), nn.LSTMLayer(5), nn.Projection(50, 5)]
    costs = analytic(layers, (N, T))
    out = mx.nd.zeros((N, T), dtype="int32")
    for layer, expected in zip(layers, costs):
        layer.initialize()
        out = layer(out)
        assert expected.out_shapes == (out.shape,)
        assert expected.parameters == sum(p.data().size for p in layer.collect_params().values())


def test_a_sharded_softmax_counts_as_the_last_layers_with_what_one_context_does():
    chain, steps = [nn.LSTMLayer(5, input_size=3), nn.TimeFirst()], (T, N, 3)
    plain = analytic(chain, steps)
    for contexts, rows in ((1, 10), (3, 4)):  # of ten rows the last of three contexts has four
        loss = nn.ShardedSoftmaxLoss(10, [mx.cpu(i) for i in range(contexts)], layout="NTC")
        costs = analytic(chain, steps, loss=loss)
        assert costs[:-1] == plain[:-1]
        assert costs[-1].flops == 2 * 5 * rows * T * N
        assert costs[-1].parameters == 5 * rows + rows
        assert costs[-1].activation_bytes == plain[-1].activation_bytes + 4 * T * N * rows
