"""Layers and losses that would run along the wrong axis are refused; batch-first layers are exact in a pipeline."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, pipelined, plain, random_values
from mxnet import gluon

from mxmp import Pipeline, Plan, nn
from mxmp.pipeline.layouts import check_layouts

W = 4


def lstm(layout="TNC"):
    return nn.LSTMLayer(W, input_size=W, layout=layout)


def dense(**options):
    return gluon.nn.Dense(W, in_units=W, **options)


def own():
    return gluon.nn.Lambda(lambda data: data)  # nothing is known of it


def inside(*layers):
    chain = nn.Chain()
    chain.add(*layers)
    return chain


def named(layers):
    return {f"layer_{i}": layer for i, layer in enumerate(layers)}


class OwnLoss(gluon.loss.L2Loss):
    def hybrid_forward(self, F, out, label):
        return super().hybrid_forward(F, F.swapaxes(out, 0, 1), label)


LABELS = nn.LabelSmoothedLoss()  # of outputs that are time first
REFUSED = {
    "a forgotten TimeFirst": ([lstm()], "NTC", None, r"layer 'layer_0' \(LSTMLayer\) takes arrays of the layout TNC, "
                              r"but gets NTC, .* put a TimeFirst\(\) before it, give it layout='NTC' if"),
    "Gluon's layer": ([gluon.rnn.GRU(W)], "NTC", None, r"'layer_0' \(GRU\) takes arrays of the layout TNC"),
    "a batch-first layer": ([lstm("NTC")], "TNC", None, r"'layer_0' \(LSTMLayer\) takes .* layout NTC, but gets TNC"),
    "Gluon's batch-first layer": ([gluon.rnn.LSTM(W, layout="NTC")], "TNC", None, r"'layer_0' \(LSTM\) takes .* NTC"),
    "a stack": ([nn.StackedLSTM(W, layout="NTC")], "TNC", None, r"'layer_0' \(StackedLSTM\) takes .* NTC"),
    "behind what keeps the axes": ([dense(flatten=False), gluon.nn.Dropout(0.1), gluon.nn.LayerNorm(), lstm()], "NTC",
                                   None, r"'layer_3' \(LSTMLayer\)"),
    "turned twice": ([nn.TimeFirst(), nn.TimeFirst(), lstm()], "NTC", None, r"'layer_2' \(LSTMLayer\)"),
    "of two layouts": ([nn.TimeFirst(), lstm(), lstm("NTC")], "NTC", None, r"'layer_2' \(LSTMLayer\) takes .* NTC"),
    "a residual": ([nn.Residual(lstm())], "NTC", None, r"'layer_0' \(Residual\)"),
    "both directions": ([nn.Select(nn.BidirectionalLSTM(W), (0, 1))], "NTC", None, r"'layer_0' \(BidirectionalLSTM\)"),
    "what was carried along": ([nn.Select(nn.TimeFirst(), (0,), (1,)), nn.Select(lstm(), (1,), (0,))], "NTC", None,
                               r"'layer_1' \(LSTMLayer\)"),
    "an attention": ([nn.Select(nn.MaskedAttention(W), (0, 1, 2))], "NTC", None, r"'layer_0' \(MaskedAttention\)"),
    "what drops along the time": ([nn.Select(nn.AttentionalOutput(W, 0.1), (0, 1))], "NTC", None,
                                  r"'layer_0' \(AttentionalOutput\)"),
    "time-first tokens": ([nn.SequenceEmbedding(9, W), lstm()], "TNC", None, r"'layer_1' \(LSTMLayer\)"),
    "in a sequence": ([inside(dense(flatten=False), lstm())], "NTC", None, r"'layer_0.1' \(LSTMLayer\)"),
    "a sequence of one's own block": ([own(), lstm(), lstm("NTC")], "NTC", None, r"'layer_2' \(LSTMLayer\)"),
    "Gluon's loss": ([nn.TimeFirst(), lstm()], "NTC", gluon.loss.L2Loss(),
                     r"the loss \(L2Loss\) takes outputs of the layout NTC, but the chain's are TNC: end the chain"),
    "Gluon's loss behind one's own block": ([own(), lstm()], "NTC", gluon.loss.L1Loss(), r"the loss \(L1Loss\)"),
    "CTC": ([nn.TimeFirst(), lstm()], "NTC", gluon.loss.CTCLoss(layout="NTC"), r"the loss \(CTCLoss\) takes .* NTC"),
    "labels": ([lstm("NTC")], "NTC", LABELS, r"the loss \(LabelSmoothedLoss\) takes .* TNC, but the chain's are NTC"),
    "a sharded softmax": ([lstm("NTC")], "NTC", nn.ShardedSoftmaxLoss(9, [mx.cpu()]), r"\(ShardedSoftmaxLoss\)"),
}
TAKEN = {
    "time first": ([lstm(), dense(flatten=False)], "TNC", gluon.loss.L2Loss(batch_axis=1)),
    "turned": ([nn.TimeFirst(), lstm(), nn.TimeFirst()], "NTC", gluon.loss.L2Loss()),
    "batch first": ([lstm("NTC"), nn.StackedLSTM(W, layout="NTC"), gluon.rnn.GRU(W, layout="NTC")], "NTC",
                    gluon.loss.L2Loss()),
    "turned in the middle": ([nn.TimeFirst(), lstm(), nn.TimeFirst(), lstm("NTC")], "NTC", gluon.loss.L2Loss()),
    "one's own block": ([own(), lstm()], "NTC", None),
    "one's own block at the end": ([nn.TimeFirst(), lstm(), own()], "NTC", gluon.loss.L2Loss()),
    "tokens": ([nn.SequenceEmbedding(9, W), lstm(), nn.Projection(9, W)], "NTC", LABELS),
    "CTC of time-first outputs": ([nn.TimeFirst(), lstm()], "NTC", gluon.loss.CTCLoss(layout="TNC")),
    "one's own loss": ([nn.TimeFirst(), lstm()], "NTC", lambda out, label: out.sum(axis=(0, 2))),
    "one's own loss made of Gluon's": ([nn.TimeFirst(), lstm()], "NTC", OwnLoss()),
    "flattened": ([dense(), dense()], "TNC", gluon.loss.L2Loss()),
    "lengths": ([nn.Select(nn.TimeFirst(), (0,), (1,)), nn.Select(nn.BidirectionalLSTM(W), (0, 1))], "NTC", None),
    "a block that returns several": ([nn.Select(own(), (0,), (1,)), nn.Select(lstm(), (1,))], "NTC", None),
}


@pytest.mark.parametrize("layers, layout, loss, message", REFUSED.values(), ids=REFUSED)
def test_what_would_run_along_the_wrong_axis_is_refused_by_name(layers, layout, loss, message):
    with pytest.raises(ValueError, match=message):
        check_layouts(named(layers), layout, loss)
    with pytest.raises(ValueError, match=message.replace("layer_", "")):
        Pipeline(layers, Plan((len(layers),), CONTEXTS[:1]), loss, layout=layout)


@pytest.mark.parametrize("layers, layout, loss", TAKEN.values(), ids=TAKEN)
def test_what_is_right_or_unknown_is_not_refused(layers, layout, loss):
    check_layouts(named(layers), layout, loss)


@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("make", [lstm, lambda layout: nn.Residual(lstm(layout)),
                                  lambda layout: nn.StackedLSTM(W, 2, input_size=W, layout=layout),
                                  lambda layout: gluon.rnn.LSTM(W, 2, input_size=W, layout=layout)],
                         ids=["LSTMLayer", "Residual", "StackedLSTM", "gluon.rnn.LSTM"])
def test_batch_first_layers_are_exact(make, chunks):
    def chain():
        layers = gluon.nn.Sequential()
        layers.add(make("NTC"), dense(flatten=False), make("NTC"))
        return layers

    loss = gluon.loss.L2Loss()
    rng = np.random.RandomState(0)
    data, label = (mx.nd.array(rng.randn(5, 7, W)) for _ in range(2))
    one, many = chain(), chain()
    values = random_values(one)
    expected, grads = plain(one, values, loss, [data], [label])
    with pipelined(many, values, loss, (1, 2), microbatches=2, num_chunks=chunks, schedule="wavefront") as pipe:
        total = pipe.forward_backward(data, label)
        np.testing.assert_allclose(total.asnumpy(), expected, 1e-5)
        assert_same(gradients(many), grads)
        np.testing.assert_allclose(pipe(data).asnumpy(), one(data).asnumpy(), 1e-5, 1e-6)
        states = pipe.begin_state(5)
        first, states = pipe(data[:, :4], states=states)
        second, _ = pipe(data[:, 4:], states=states)
        joined = mx.nd.concat(first.as_in_context(mx.cpu()), second.as_in_context(mx.cpu()), dim=1)
        np.testing.assert_allclose(joined.asnumpy(), one(data).asnumpy(), 1e-5, 1e-6)
