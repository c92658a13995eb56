"""The same numbers on GPUs as on CPUs. cuDNN adds up in another order and may round products: 1e-3 is its accuracy."""
import mxnet as mx
import numpy as np
import pytest

from mxmp import Pipeline, Plan, Trainer, nn
from mxmp.planning import profile

NUM_GPUS = mx.context.num_gpus()
pytestmark = pytest.mark.skipif(NUM_GPUS == 0, reason="MXNet sees no GPU here")


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)


def uniform(*shape, seed):
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype("float32")


def everything(layer, ctx):
    """Output, states and all gradients of an LSTM layer for random head gradients."""
    layer.initialize(ctx=ctx)
    layer.hybridize()
    layer.parameters.set_data(mx.nd.array(uniform(*layer.parameters.shape, seed=1)))
    inputs = [mx.nd.array(uniform(*shape, seed=2 + i), ctx=ctx)
              for i, shape in enumerate([(20, 16, 32), (1, 16, 64), (1, 16, 64)])]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        out, states = layer(inputs[0], inputs[1:])
    outputs = [out, *states]
    mx.autograd.backward(outputs, [mx.nd.array(uniform(*out.shape, seed=9), ctx=ctx) for out in outputs])
    return [array.asnumpy() for array in [*outputs, *(x.grad for x in inputs), layer.parameters.grad()]]


def test_lstm_layer_is_the_one_on_a_cpu():
    on_cpu, on_gpu = [everything(nn.LSTMLayer(64, input_size=32), ctx) for ctx in (mx.cpu(), mx.gpu(0))]
    for actual, expected in zip(on_gpu, on_cpu):
        close(actual, expected)


@pytest.mark.parametrize("hybridize", [False, True])
def test_smoothed_loss_is_the_one_on_a_cpu(hybridize):
    results = []
    for ctx in (mx.cpu(), mx.gpu(0)):
        loss = nn.LabelSmoothedLoss(0.1)
        loss.hybridize(hybridize)
        logits = mx.nd.array(uniform(6, 4, 9, seed=1), ctx=ctx)
        logits.attach_grad()
        with mx.autograd.record():
            out = loss(logits, mx.nd.ones((4, 6), ctx=ctx), mx.nd.array([6, 1, 3, 2], ctx=ctx))
        out.backward()
        assert out.context == ctx
        results.append((out.asnumpy(), logits.grad.asnumpy()))
    for actual, expected in zip(*results):
        close(actual, expected)


def build_chain():
    chain = mx.gluon.nn.Sequential()
    embedding = nn.SequenceEmbedding(20, 16)
    chain.add(embedding, nn.LSTMLayer(16, input_size=16), nn.Residual(nn.LSTMLayer(16, input_size=16)),
              nn.Projection(20, 16, shared=embedding))
    return chain


@pytest.mark.parametrize("contexts", [
    (mx.gpu(0), mx.cpu(1)), (mx.cpu(1), mx.gpu(0)),
    pytest.param((mx.gpu(0), mx.gpu(1)), marks=pytest.mark.skipif(NUM_GPUS < 2, reason="MXNet sees one GPU only")),
], ids=str)
def test_pipeline_has_the_loss_gradients_and_updates_of_one_context(contexts):
    random = np.random.RandomState(0)
    tokens, label = (mx.nd.array(random.randint(0, 20, (8, 10)), dtype="int32") for _ in range(2))
    lengths = mx.nd.array(random.randint(1, 11, 8), dtype="int32")
    plain, loss = build_chain(), nn.LabelSmoothedLoss(0.1)
    plain.initialize()
    with Pipeline(build_chain(), Plan((2, 2), contexts), nn.LabelSmoothedLoss(0.1), num_microbatches=3) as pipe:
        pipe.initialize()
        twins = list(plain.collect_params().values())
        pairs = list(zip(pipe.parameter_contexts.items(), twins))
        assert len(pairs) == len(pipe.parameter_contexts) == len(twins) == 4
        for (parameter, places), twin in pairs:
            twin.set_data(parameter.data(places[0]).as_in_context(mx.cpu()))
        trainer = Trainer(pipe, "sgd", {"learning_rate": 0.1})
        total = pipe.forward_backward(tokens, (label, lengths))
        with mx.autograd.record():
            expected = loss(plain(tokens), label, lengths).sum()
        expected.backward()
        assert total.context == contexts[-1]
        close(total.asnumpy(), expected.asnumpy())
        for (parameter, places), twin in pairs:
            close(sum(parameter.grad(ctx).asnumpy() for ctx in places), twin.grad().asnumpy())
        trainer.step(10)
        mx.gluon.Trainer(plain.collect_params(), "sgd", {"learning_rate": 0.1}).step(10)
        for (parameter, places), twin in pairs:
            for ctx in places:
                close(parameter.data(ctx).asnumpy(), twin.data().asnumpy())


def causal_chain():
    chain = mx.gluon.nn.Sequential()
    chain.add(nn.TimeFirst(), *[nn.LSTMLayer(16, input_size=16) for _ in range(3)], nn.TimeFirst())
    return chain


@pytest.mark.parametrize("schedule, microbatches, chunks", [("1f1b", 4, 1), ("1f1b", 2, 3), ("fill_drain", 4, 1),
                                                            ("wavefront", 1, 5)])
@pytest.mark.parametrize("contexts", [(mx.gpu(0),), (mx.gpu(0), mx.cpu(0)), (mx.cpu(0), mx.gpu(0))], ids=str)
def test_every_schedule_has_the_gradients_of_one_context(contexts, schedule, microbatches, chunks):
    data, label = (mx.nd.array(uniform(8, 10, 16, seed=i)) for i in range(2))
    plain, loss = causal_chain(), mx.gluon.loss.L2Loss()
    plain.initialize()
    data.attach_grad()
    with mx.autograd.record():
        expected = loss(plain(data), label).sum()
    expected.backward()
    expected_grads = [data.grad.asnumpy(), *(p.grad().asnumpy() for p in plain.collect_params().values())]
    counts = (5,) if len(contexts) == 1 else (3, 2)
    with Pipeline(causal_chain(), Plan(counts, contexts), loss, microbatches, chunks, schedule) as pipe:
        pipe.initialize()
        for parameter, twin in zip(pipe.parameter_contexts, plain.collect_params().values()):
            parameter.set_data(twin.data())
        data.attach_grad()
        with pipe.timeline() as timeline:
            total = pipe.forward_backward(data, label)
        close(total.asnumpy(), expected.asnumpy())
        actual = [data.grad, *(p.grad(places[0]) for p, places in pipe.parameter_contexts.items())]
        for grad, expected_grad in zip(actual, expected_grads):
            close(grad.asnumpy(), expected_grad)
        assert len(timeline.spans) == 2 * len(contexts) * microbatches * chunks


@pytest.mark.parametrize("mode, plain", [("lstm", mx.gluon.rnn.LSTM), ("gru", mx.gluon.rnn.GRU)])
@pytest.mark.parametrize("contexts", [(mx.gpu(0),), (mx.gpu(0), mx.cpu(1)), (mx.cpu(0), mx.gpu(0))], ids=str)
def test_a_stack_is_gluons_on_a_cpu(tmp_path, contexts, mode, plain):
    one = plain(16, num_layers=3, input_size=8)
    one.initialize()
    one.save_parameters(str(tmp_path / "one.params"))
    stacked = nn.StackedLSTM(16, 3, contexts, mode=mode)
    stacked.load_parameters(str(tmp_path / "one.params"))
    stacked.hybridize()
    data = mx.nd.array(uniform(10, 4, 8, seed=1))
    with mx.autograd.record():
        outs = [block(data) for block in (one, stacked)]
        totals = [(out ** 2).sum() for out in outs]
    mx.autograd.backward(totals)
    assert outs[1].context == contexts[-1]
    close(outs[1].asnumpy(), outs[0].asnumpy())
    for name, parameter in stacked.collect_params().items():
        twin = one.collect_params()[one.prefix + name[len(stacked.prefix):]]
        close(parameter.grad(parameter.list_ctx()[0]).asnumpy(), twin.grad().asnumpy())


def test_layers_are_profiled_on_each_kind_of_context():
    found = profile(build_chain(), [mx.gpu(0), mx.cpu(0)], mx.nd.ones((8, 10), dtype="int32"), cuts=[(2, 1)], repeats=1)
    for kind in ("gpu", "cpu"):
        assert all(cost.forward > 0 and cost.backward > 0 for cost in found.costs(2, 1, kind))
    assert found.link([mx.gpu(0), mx.cpu(0)]).latency > 0


@pytest.mark.parametrize("contexts", [(mx.gpu(0),), (mx.gpu(0), mx.cpu(0)), (mx.cpu(0), mx.gpu(0))], ids=str)
def test_a_split_softmax_is_the_whole_one_on_a_cpu(tmp_path, contexts):
    whole, smoothed = nn.Projection(50, 8), nn.LabelSmoothedLoss(0.1)
    whole.initialize()
    whole.save_parameters(str(tmp_path / "whole.params"))
    split = nn.ShardedSoftmaxLoss(50, contexts, label_smoothing=0.1)
    split.load_parameters(str(tmp_path / "whole.params"))
    label = np.random.RandomState(0).randint(0, 50, (4, 6))
    hiddens = [mx.nd.array(uniform(6, 4, 8, seed=1), ctx=ctx) for ctx in (mx.cpu(), contexts[0])]
    for hidden in hiddens:
        hidden.attach_grad()
    with mx.autograd.record():
        expected = smoothed(whole(hiddens[0]), mx.nd.array(label, dtype="int32"))
        actual = split(hiddens[1], mx.nd.array(label, dtype="int32"))
    mx.autograd.backward([expected, actual])
    assert actual.context == contexts[0]
    close(actual.asnumpy(), expected.asnumpy())
    close(hiddens[1].grad.asnumpy(), hiddens[0].grad.asnumpy())
    weights = [shard.weight.grad().asnumpy() for shard in split.shards]
    close(np.concatenate(weights), whole.dense.weight.grad().asnumpy())
    _, tokens = split.top_k(hiddens[1], 5)
    assert tokens.context == contexts[0]
    np.testing.assert_array_equal(tokens.asnumpy(), mx.nd.topk(whole(hiddens[0]), k=5, dtype="int32").asnumpy())
