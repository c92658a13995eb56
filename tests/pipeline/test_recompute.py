"""Recomputation: the same bits as without, of every gradient, loss, state and running statistic."""
import mxnet as mx
import numpy as np
import pytest
from helpers.operators import Scale, Writing
from helpers.stacks import assert_same, lstm_chain, pipelined, random_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.nn import Chain, LSTMLayer, ShardedSoftmaxLoss
from mxmp.pipeline.draws import check_draws

CUTS = [(1, 1), (4, 1), (1, 3), (3, 2)]
cuts = pytest.mark.parametrize("microbatches, chunks", CUTS)
schedules = pytest.mark.parametrize("schedule", ["fill_drain", "1f1b", "wavefront"])
each = pytest.mark.parametrize("recompute", [True, (True, False, True), (False, True, False)])


def stack(dropout=0.3):
    """Layers that drop out in every stage, with a mask for each number and with one for all steps."""
    chain = Chain()
    chain.add(LSTMLayer(4, dropout, input_size=4), gluon.nn.Dropout(dropout), gluon.rnn.LSTM(4, input_size=4),
              LSTMLayer(4, dropout, input_size=4), gluon.nn.Dense(3, flatten=False, in_units=4))
    return chain


def step(chain, recompute, schedule="fill_drain", microbatches=4, chunks=1, loss=None, counts=(2, 1, 2), steps=2,
         states=True, **options):
    """All that some steps give: losses, states, the gradients of inputs and parameters, running statistics."""
    rng, found = np.random.RandomState(0), {}
    data, labels = mx.nd.array(rng.randn(6, 7, 4)), mx.nd.array(rng.randn(6, 7, 3))
    data.attach_grad()
    with pipelined(chain, random_values(chain), loss or gluon.loss.L2Loss(batch_axis=1), counts, microbatches,
                   num_chunks=chunks, schedule=schedule, layout="TNC", recompute=recompute, **options) as pipe:
        before = pipe.begin_state(7) if states else None
        for i in range(steps):
            pipe.seed(5, i)
            out = pipe.forward_backward(data, labels, before)
            out, before = out if states else (out, None)
            found.update({f"{i} {name}": grad for name, grad in gradients_of(chain).items()})
            found.update({f"{i} loss": out.asnumpy(), f"{i} input": data.grad.asnumpy()})
            found.update({f"{i} state {j} {k}": array.asnumpy() for j, layer in enumerate(before or ())
                          for k, array in enumerate(layer)})
    return found


def gradients_of(chain):
    """Gradients, or the values of parameters without."""
    return {name: sum(a.asnumpy() for a in (p.list_grad() if p.grad_req != "null" else p.list_data()))
            for name, p in chain._collect_params_with_prefix().items()}


def assert_equal(build, recompute=True, *args, **options):
    expected, actual = (step(build(), again, *args, **options) for again in (False, recompute))
    assert_same(actual, expected, rtol=0, atol=0)
    return expected


@each
@cuts
@schedules
def test_all_is_the_same_bits(schedule, microbatches, chunks, recompute):
    assert_equal(stack, recompute, schedule, microbatches, chunks)


@schedules
def test_of_blocks_that_are_not_hybridized(schedule):
    assert_equal(stack, True, schedule, hybridize=False)


def test_of_a_symbol_that_is_not_hybridized():
    def build():
        return around(gluon.SymbolBlock(mx.sym.Dropout(mx.sym.var("data"), p=0.4), mx.sym.var("data")))
    assert_equal(build, counts=(1, 1, 1), hybridize=False)


class Noise(gluon.HybridBlock):
    """Random numbers that no input takes part in, and Dropout as an operator."""

    def hybrid_forward(self, F, x):
        noise = F.broadcast_mul(x, F.random.normal(0, 1, shape=(4,))) * F.random.normal_like(x)
        return noise + F.Dropout(x, p=0.3, mode="always", axes=(0,))


class NoiseOnArrays(gluon.Block):
    """The same on arrays, one of which it writes to; and Dropout of a weight, as weight drop does it."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(4, 4))

    def forward(self, x):
        noise, scale = mx.nd.random.normal(0, 1, shape=(4,)), mx.nd.zeros((4,))
        noise *= 2
        mx.nd.random.uniform(1, 2, shape=(4,), out=scale)
        weight = mx.nd.Dropout(self.weight.data(x.context), p=0.3)
        return mx.nd.FullyConnected(x, weight, num_hidden=4, no_bias=True, flatten=False) * noise * scale


class DropLoss(gluon.HybridBlock):
    """A loss that drops out."""

    def __init__(self):
        super().__init__()
        self.dropout, self.loss = gluon.nn.Dropout(0.3), gluon.loss.L2Loss(batch_axis=1)

    def hybrid_forward(self, F, outputs, labels):
        return self.loss(self.dropout(outputs), labels)


class Counted(gluon.Block):
    """Counts its calls in a parameter, as some kernels of BatchNorm take running statistics in the forward pass."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.calls = self.params.get("calls", shape=(1,), differentiable=False, init="zeros")

    def forward(self, x):
        with autograd.pause():
            self.calls.data(x.context)[:] += 1
        return x * 1


class Last(gluon.HybridBlock):
    """Dropout at the end of a chain."""

    def hybrid_forward(self, F, x):
        return F.Dropout(x, p=0.3)


def dense(width=4, **kwargs):
    return gluon.nn.Dense(width, flatten=False, in_units=4, **kwargs)


def around(*middle, output=None):
    chain = Chain()
    chain.add(LSTMLayer(4, 0.2, input_size=4), *middle, output or dense(3))
    return chain


def tied():
    first = dense()
    return around(first, dense(params=first.params))


def frozen():
    chain = stack()
    chain[2].collect_params().setattr("grad_req", "null")
    return chain


def static():
    chain = stack()
    chain[0].hybridize(static_alloc=True)
    return chain


CHAINS = {"random operators": lambda: around(Noise()), "the same on arrays": lambda: around(NoiseOnArrays()),
          "running statistics": lambda: around(gluon.nn.BatchNorm(axis=2, in_channels=4)),
          "statistics of the forward pass": lambda: around(Counted()), "tied layers": tied, "frozen layers": frozen,
          "static memory": static, "a function in Python": lambda: around(dense(3), Scale(), output=Last()),
          "an operator in Python": lambda: around(dense(3), Writing(), output=Last())}


@schedules
@pytest.mark.parametrize("kind", list(CHAINS))
def test_of_whatever_layers(kind, schedule):
    assert_equal(CHAINS[kind], True, schedule, counts=(1, 1, len(CHAINS[kind]().layers) - 2))


@pytest.mark.parametrize("chunks", [1, 3])
@schedules
def test_of_a_loss_that_drops_out(schedule, chunks):
    assert_equal(stack, True, schedule, 2, chunks, loss=DropLoss(), reduction="mean")


def test_of_a_loss_over_several_contexts():
    def train(recompute):
        chain, rng = lstm_chain(), np.random.RandomState(0)
        loss = ShardedSoftmaxLoss(9, [mx.cpu(2), mx.cpu(3)], 3, layout="NTC")
        labels, lengths = (mx.nd.array(rng.randint(1, 7, shape), dtype="int32") for shape in ((6, 7), 6))
        with Pipeline(chain, Plan((2, 2, 2), [mx.cpu(i) for i in range(3)]), loss, 3, schedule="fill_drain",
                      recompute=recompute) as pipe:
            mx.random.seed(3)
            pipe.initialize()
            total = pipe.forward_backward(mx.nd.array(rng.randn(6, 7, 5)), (labels, lengths)).asnumpy()
            return dict(enumerate([total, *(p.list_grad()[0].asnumpy() for p in pipe.parameter_contexts)]))
    assert_same(train(True), train(False), rtol=0, atol=0)


def test_every_call_is_counted_once():
    found = step(around(Counted()), True, counts=(1, 1, 1), steps=3)
    np.testing.assert_allclose(found["2 1.calls"] - found["0 1.calls"], 2 * 4, 1e-6)


@pytest.mark.parametrize("layer, operator", [
    (lambda: gluon.rnn.LSTM(4, 2, dropout=0.3, input_size=4), "RNN"),
    (lambda: gluon.nn.Lambda(lambda x: x * mx.nd.random.normal(x, mx.nd.ones_like(x))), "_sample_normal"),
])
def test_what_cannot_be_drawn_again_is_refused_by_name(layer, operator):
    with pytest.raises(ValueError, match=f"operator {operator} draws .* recompute=False for its stage .*layer '1'"):
        step(around(layer()), True, counts=(1, 1, 1))
    step(around(layer()), (True, False, True), counts=(1, 1, 1))


def test_a_randomized_relu_is_refused():  # not run: plain MXNet 1.9.1's crashes on CPUs
    with pytest.raises(ValueError, match="operator LeakyReLU draws"):
        check_draws("LeakyReLU", {"act_type": "rrelu"}, 1)
    assert not check_draws("LeakyReLU", {"act_type": "leaky"}, 1)


def test_a_layer_that_draws_another_time_is_refused():
    calls = []

    def sometimes(x):
        calls.append(x)
        return mx.nd.Dropout(x, p=0.5) if len(calls) > 4 else x
    with pytest.raises(RuntimeError, match="drew more random numbers when it was run again"):
        step(around(gluon.nn.Lambda(sometimes)), True, counts=(1, 1, 1))


class NumpyNoise(gluon.HybridBlock):
    """Dropout and random numbers in MXNet's NumPy."""

    def hybrid_forward(self, F, x):
        return F.npx.dropout(x, 0.3) * F.np.random.uniform(1, 2, size=(4,))


@pytest.mark.parametrize("hybridize", [True, False])
def test_of_mxnets_numpy_arrays(hybridize):
    def train(recompute):
        rng, layers = np.random.RandomState(0), [dense(), NumpyNoise(), dense(3)]
        data, labels = mx.np.array(rng.randn(6, 7, 4), "float32"), mx.np.array(rng.randn(6, 7, 3), "float32")
        pipe = Pipeline(layers, Plan((1, 1, 1), [mx.cpu(i) for i in range(3)]), gluon.loss.L2Loss(), 3,
                        schedule="fill_drain", hybridize=hybridize, recompute=recompute)
        with pipe:
            pipe.initialize(mx.init.Constant(0.1))
            pipe.seed(5)
            loss = pipe.forward_backward(data, labels)
            return [loss.asnumpy(), *(grad.asnumpy() for p in pipe.parameter_contexts for grad in p.list_grad())]
    with mx.util.np_shape(True), mx.util.np_array(True):
        for actual, expected in zip(train(True), train(False)):
            np.testing.assert_array_equal(actual, expected)
            assert expected.any()


def test_of_a_block_that_plain_gluon_and_another_pipeline_use_between():
    def train(recompute):
        chain = stack()
        step(chain, recompute, counts=(5,), states=False)
        mx.random.seed(1)
        with autograd.record():
            plain = chain(mx.nd.ones((6, 2, 4))).asnumpy()
        return {"plain": plain, **step(chain, False, counts=(5,), states=False)}
    assert_same(train(True), train(False), rtol=0, atol=0)


def test_of_a_parameter_put_in_anothers_place():
    def train(recompute):
        chain, rng = stack(), np.random.RandomState(0)
        data, labels = mx.nd.array(rng.randn(6, 7, 4)), mx.nd.array(rng.randn(6, 7, 3))
        with pipelined(chain, random_values(chain), gluon.loss.L2Loss(batch_axis=1), (2, 1, 2), 3, layout="TNC",
                       schedule="fill_drain", recompute=recompute) as pipe:
            pipe.forward_backward(data, labels)
            layer = chain[4]
            other = gluon.Parameter(layer.weight.name, shape=(3, 4), init=mx.init.Constant(0.3))
            other.initialize()
            layer.params._params[layer.weight.name] = layer._reg_params["weight"] = other
            object.__setattr__(layer, "weight", other)
            pipe.seed(6)
            pipe.forward_backward(data, labels).wait_to_read()
        return gradients_of(chain)
    assert_same(train(True), train(False), rtol=0, atol=0)


def test_a_step_that_failed_leaves_nothing_to_the_next():
    chain, wrong = stack(), []

    def fail(outputs, labels):
        if wrong:
            raise ValueError("no loss")
        return (outputs - labels).square().mean(axis=(0, 2))
    rng = np.random.RandomState(0)
    data, labels = mx.nd.array(rng.randn(6, 7, 4)), mx.nd.array(rng.randn(6, 7, 3))
    with pipelined(chain, random_values(chain), fail, (2, 1, 2), 3, layout="TNC", schedule="fill_drain",
                   recompute=True) as pipe:
        found = []
        for broken in (False, True, False):
            wrong[:] = [broken] * broken
            pipe.seed(5)
            if broken:
                with pytest.raises(ValueError, match="no loss"):
                    pipe.forward_backward(data, labels)
            else:
                pipe.forward_backward(data, labels).wait_to_read()
                found.append(gradients_of(chain))
    assert_same(found[1], found[0], rtol=0, atol=0)
