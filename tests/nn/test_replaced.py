"""Parameters that others were put in the place of, as weight drop does: each block computes with those it has now."""
import gluonnlp
import mxnet as mx
import numpy as np
import pytest
from helpers.blocks import CASES, ROWS, STEPS, WIDTH
from helpers.gluon_stacks import LAYERS, C, H, N, T, same_values, stack
from helpers.plain import assert_same, initialized, trace, uniform, values

from mxmp import Pipeline, Plan, nn

pytestmark = pytest.mark.filterwarnings("ignore:When applying weight drop, target parameter")
WEIGHTS = ".*(weight|parameters)"
WEIGHTED = [name for name in CASES if name not in ("TimeFirst", "LabelSmoothedLoss")]


def mask(shape):
    return 2.0 * (np.arange(np.prod(shape)) % 3 > 0).reshape(shape)


@pytest.fixture(autouse=True)
def fixed_mask(monkeypatch):
    """What weight drop drops in training is the same everywhere, so that it can be compared."""
    def masked(data, *args):
        if not mx.autograd.is_training():
            return data
        return data * mx.nd.array(mask(data.shape), ctx=data.context, dtype=data.dtype)
    monkeypatch.setattr(gluonnlp.model.parameter.nd, "Dropout", masked)


def drop(block):
    gluonnlp.model.apply_weight_drop(block, WEIGHTS, 0.5)


def dropped(block, trace_):
    """What plain products of values and mask make of ``trace_()``, whose last arrays are the parameters' gradients."""
    parameters = list(block.collect_params().values())
    masks = [mask(p.shape) if p.name.endswith(("weight", "parameters")) else np.ones(p.shape) for p in parameters]
    for parameter, one in zip(parameters, masks):
        parameter.set_data(parameter.data() * mx.nd.array(one))
    arrays = trace_()
    count = len(arrays) - len(parameters)
    return arrays[:count] + [grad * one for grad, one in zip(arrays[count:], masks)]


@pytest.mark.parametrize("when", ["before it is traced", "after it"])
@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", WEIGHTED)
def test_dropped_weights_are_computed_with(name, hybridize, when):
    inputs = CASES[name].inputs(STEPS, ROWS)
    block, plain = (initialized(CASES[name].make(WIDTH), *inputs) for _ in range(2))
    if hybridize:
        block.hybridize()
    if when == "after it":
        trace(block, *inputs, block=block)
    drop(block)
    assert_same(trace(block, *inputs, block=block), dropped(plain, lambda: trace(plain, *inputs, block=plain)))


def test_the_table_of_two_blocks_is_dropped_in_both():
    chain = nn.Chain()
    chain.add(nn.SequenceEmbedding(9, WIDTH))
    chain.add(nn.Projection(9, WIDTH, shared=chain[0]))
    initialized(chain)
    table, bias = (parameter.data().asnumpy() for parameter in chain.collect_params().values())
    drop(chain)
    rows = table * mask(table.shape)
    tokens = np.array([[1, 2, 3]])
    assert_same(trace(chain, tokens)[:1], [np.einsum("nte,ve->tnv", 2 * rows[tokens], rows) + bias])


@pytest.mark.parametrize("hybridize", [False, True])
def test_a_softmaxs_rows_are_dropped(hybridize):
    hidden, label = uniform(T, N, 4), np.arange(N * T).reshape(N, T) % 9
    sharded, plain = (initialized(nn.ShardedSoftmaxLoss(9, [mx.cpu(0), mx.cpu(1)], 4)) for _ in range(2))
    sharded.hybridize(hybridize)
    trace(sharded, hidden, label)
    drop(sharded)
    assert_same(trace(sharded, hidden, label, block=sharded),
                dropped(plain, lambda: trace(plain, hidden, label, block=plain)))


def pair(mode, contexts, bidirectional=False):
    """A stack and Gluon's layer of the same values."""
    options = {"num_layers": 2, "input_size": C, "bidirectional": bidirectional}
    plain = LAYERS[mode](H, **options)
    initialized(plain)
    block = stack(2, contexts, mode=mode, input_size=C, bidirectional=bidirectional)
    block.initialize()
    return same_values(block, plain), plain


@pytest.mark.parametrize("when", ["before the first call", "after it"])
@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("contexts", [[mx.cpu(0)] * 2, [mx.cpu(0), mx.cpu(1)]], ids=["one context", "two contexts"])
@pytest.mark.parametrize("mode, bidirectional", [("lstm", False), ("lstm", True), ("gru", True), ("rnn_tanh", False)])
def test_a_stack_drops_what_gluons_layer_drops(mode, bidirectional, contexts, hybridize, when):
    block, plain = pair(mode, contexts, bidirectional)
    data = uniform(T, N, C)
    block.hybridize(hybridize)
    if when == "after it":
        trace(block, data)
    drop(block)
    drop(plain)
    assert_same(trace(block, data, block=block), trace(plain, data, block=plain))


class Negative(mx.gluon.Parameter):
    """A parameter whose value is used with another sign."""

    def data(self, ctx=None):
        return -super().data(ctx)


@pytest.mark.parametrize("hybridize", [False, True])
def test_a_stack_computes_with_what_is_put_into_its_own_dict(hybridize):
    block, plain = pair("lstm", [mx.cpu(0)] * 2)
    block.hybridize(hybridize)
    data = uniform(T, N, C)
    trace(block, data)
    for net in (block, plain):
        one = Negative("other_weight", shape=(4 * H, H))
        one.initialize(mx.init.One())
        net._reg_params["l1_h2h_weight"] = one
    expected, out = trace(plain, data), trace(block, data)
    assert_same(out, expected)
    assert_same([block._reg_params["l1_h2h_weight"].grad().asnumpy()],
                [plain._reg_params["l1_h2h_weight"].grad().asnumpy()])
    assert block.layers[1].l1_h2h_weight is block._reg_params["l1_h2h_weight"]


def test_another_parameter_as_an_attribute_is_refused_as_by_gluons_layer():
    for net in pair("lstm", [mx.cpu(0)] * 2):
        with pytest.raises(AssertionError, match="Overriding Parameter attribute"):
            net.l0_i2h_weight = type(net.l0_i2h_weight)("other", shape=(4 * H, C))


@pytest.mark.parametrize("where", ["the stack", "the chain"])
@pytest.mark.parametrize("when", ["before the chain", "before the pipeline", "after it", "after a step"])
def test_a_pipeline_of_the_stacks_layers_drops_what_gluons_layer_drops(where, when):
    block, plain = pair("lstm", [mx.cpu(0), mx.cpu(1)])
    data, target = mx.nd.array(uniform(T, N, C)), mx.nd.zeros((T, N, H))
    loss = mx.gluon.loss.L2Loss(batch_axis=1)
    if when == "before the chain":
        drop(block)
    chain = block.as_chain()
    if when == "before the pipeline":
        drop(block if where == "the stack" else chain)
    with Pipeline(chain, Plan((1, 1), (mx.cpu(0), mx.cpu(1))), loss, num_microbatches=3, layout="TNC") as pipe:
        if when == "after a step":
            pipe.forward_backward(data, target)
        if when.startswith("after"):
            drop(block if where == "the stack" else chain)
        total = pipe.forward_backward(data, target).asnumpy()
    drop(plain)
    with mx.autograd.record():
        expected = loss(plain(data), target).sum()
    expected.backward()
    assert_same([total] + [p.grad().asnumpy() for p in block.collect_params().values()],
                [expected.asnumpy().reshape(1)] + [p.grad().asnumpy() for p in plain.collect_params().values()])


def test_a_stack_is_saved_loaded_cast_and_moved_with_what_it_has_now(tmp_path):
    block, plain = pair("lstm", [mx.cpu(0), mx.cpu(1)])
    drop(block)
    drop(plain)
    plain.save_parameters(str(tmp_path / "values"))
    for net in (block, plain):
        for parameter in net.collect_params().values():
            parameter.set_data(mx.nd.zeros(parameter.shape))
        net.load_parameters(str(tmp_path / "values"), ctx=None)
    assert_same(values(block), values(plain), 0, 0)
    block.collect_params().reset_ctx(mx.cpu(1))
    plain.collect_params().reset_ctx(mx.cpu(1))
    for dtype in ("float32", "float64"):
        block.cast(dtype)
        plain.cast(dtype)
        assert_same(trace(block, uniform(T, N, C), block=block, dtype=dtype, ctx=mx.cpu(1)),
                    trace(plain, uniform(T, N, C), block=plain, dtype=dtype, ctx=mx.cpu(1)))
