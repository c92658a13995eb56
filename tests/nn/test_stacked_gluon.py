"""What MXNet 1.9.1 tests of its recurrent layers, for StackedLSTM on several contexts.

The cases of its tests/python/unittest/test_gluon_rnn.py and tests/python/gpu/test_gluon_gpu.py, and what covers them;
where no file is named, it is this one, which has what no other had.

- rnn_layers_fp32, forward and backward, with and without states, hybridized: test_hybridized_it_gives_the_same_...
- the same with dropout: test_dropout_runs_forward_and_backward; test_stacked has where it works
- the same in Sequential and HybridSequential, cast before and after: test_inside_a_network_that_is_cast
- states as one array, a list or a tuple: test_states_may_be_...; of a wrong shape: test_stacked
- rnn_layers_fp16 and rnn_layer_begin_state_type, on GPUs only: test_begin_state_follows_a_cast, in float64
- fused_lstm_layer, fused_gru_layer and so on, lstm_cpu_inference, beside stacks of cells: test_is_a_stack_of_cells
- layer_bidirectional, beside two layers: test_both_directions_are_two_layers
- layer_fill_shape: test_takes_its_width_...; infer_shape without a call: test_infer_shape_needs_no_call
- unroll_layout: test_layouts_are_transposes; test_stacked has gradients
- rnn_cells_export_import: test_export; of NumPy arrays: test_stacked_inputs
- zero-size batches, wrong ranks, NumPy arrays (use_np): test_stacked_inputs
- saving, loading, the old format of files: test_stacked
- lstmp, layer_bidirectional_proj (projection_size) and layer_bidirectional_varseqlength (use_sequence_length) need
  cuDNN in 1.9.1 and are not offered; BidirectionalLSTM takes lengths
- unrolled cells, variant lengths, zoneout, residual, convolutional and dropout cells: these are no layers
"""
import mxnet as mx
import numpy as np
import pytest
from helpers.gluon_stacks import CONTEXTS, LAYERS, C, H, N, T, same_values, stack, states_for
from helpers.plain import assert_same, flatten, initialized, trace, uniform
from mxnet import autograd, gluon

from mxmp.nn import StackedLSTM

CELLS = {"lstm": gluon.rnn.LSTMCell, "gru": gluon.rnn.GRUCell,
         "rnn_tanh": lambda size: gluon.rnn.RNNCell(size, activation="tanh"),
         "rnn_relu": lambda size: gluon.rnn.RNNCell(size, activation="relu")}


def with_states(block):
    """All outputs on one context, for `trace` gives head gradients there."""
    def call(data, *states):
        out, news = block(data, list(states))
        return [array.as_in_context(mx.cpu(0)) for array in (out, *news)]
    return call


def gradients(block):
    """Every parameter's gradient by name, wherever it is."""
    return {name[len(block.prefix):]: p.list_grad()[0].asnumpy() for name, p in block.collect_params().items()}


@pytest.mark.parametrize("flags", [{}, {"static_alloc": True}, {"static_alloc": True, "static_shape": True}], ids=str)
@pytest.mark.parametrize("with_state", [False, True], ids=["without states", "with states"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mode", LAYERS)
def test_hybridized_it_gives_the_same_in_training_and_after(mode, bidirectional, with_state, flags):
    block = initialized_on_all(stack(mode=mode, bidirectional=bidirectional))
    inputs = [uniform(T, N, C)] + (states_for(block) if with_state else [])
    call = with_states(block) if with_state else lambda data: block(data).as_in_context(mx.cpu(0))
    expected = [trace(call, *inputs), gradients(block)]
    predicted = [array.asnumpy() for array in flatten(call(*map(mx.nd.array, inputs)))]
    block.hybridize(**flags)
    for _ in range(2):
        passed = [trace(call, *inputs), gradients(block)]
        assert_same(passed[0], expected[0])
        assert_same(list(passed[1].values()), list(expected[1].values()))
        assert_same([array.asnumpy() for array in flatten(call(*map(mx.nd.array, inputs)))], predicted)


def initialized_on_all(block, width=C):
    """Fixed values, on the contexts of the layers."""
    return initialized(block, uniform(*((T, N, width) if block._layout == "TNC" else (N, T, width))))


@pytest.mark.parametrize("mode", LAYERS)
@pytest.mark.parametrize("hybridize", [False, True])
def test_states_may_be_a_list_or_a_tuple_and_one_may_be_bare(mode, hybridize):
    block = initialized_on_all(stack(mode=mode))
    if hybridize:
        block.hybridize()
    data, states = mx.nd.array(uniform(T, N, C)), [mx.nd.array(state) for state in states_for(block)]
    forms = [states, tuple(states)] + ([states[0]] if len(states) == 1 else [])
    results = [block(data, form) for form in forms]
    for out, news in results:
        assert isinstance(news, list) and [new.shape for new in news] == [state.shape for state in states]
        assert_same([out.asnumpy(), *[new.asnumpy() for new in news]],
                    [results[0][0].asnumpy(), *[new.asnumpy() for new in results[0][1]]], 0, 0)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mode", LAYERS)
@pytest.mark.parametrize("hybridize", [False, True])
def test_dropout_runs_forward_and_backward(mode, bidirectional, hybridize):
    block = initialized_on_all(stack(3, mode=mode, bidirectional=bidirectional, dropout=0.5))
    plain = initialized_on_all(stack(3, mode=mode, bidirectional=bidirectional))
    if hybridize:
        block.hybridize()
    inputs = [uniform(T, N, C), *states_for(block)]
    dropped, full = (trace(with_states(one), *inputs) for one in (block, plain))
    assert all(np.isfinite(array).all() for array in dropped)
    assert (dropped[0] != full[0]).any() and (gradients(block)["l0_i2h_weight"] != 0).any()
    assert_same([block(mx.nd.array(inputs[0])).asnumpy()], [plain(mx.nd.array(inputs[0])).asnumpy()])  # prediction


@pytest.mark.parametrize("kind", [gluon.nn.Sequential, gluon.nn.HybridSequential])
@pytest.mark.parametrize("first, then", [("float32", "float64"), ("float64", "float32"), ("float32", "float32")])
def test_inside_a_network_that_is_cast(kind, first, then):
    def build(recurrent):
        net = kind(prefix="net_")
        with net.name_scope():
            net.add(recurrent, gluon.nn.BatchNorm(axis=2), gluon.nn.Flatten(), gluon.nn.Dense(3, activation="relu"))
        if kind is gluon.nn.HybridSequential:
            net.hybridize()
        net.initialize()
        net.cast(then)
        net(mx.nd.array(data, dtype=then))
        for i, (name, p) in enumerate(net.collect_params().items()):
            drawn = uniform(*p.shape, seed=100 + i)
            p.set_data(mx.nd.array(np.ones_like(drawn) if "running_var" in name else drawn, dtype=then))
        return net

    data = uniform(T, N, C)
    ours = build(StackedLSTM(H, 2, bidirectional=True, dtype=first))
    theirs = build(gluon.rnn.LSTM(H, 2, bidirectional=True, dtype=first))
    actual, expected = ([array for name, array in results(net, data, then)] for net in (ours, theirs))
    assert actual[0].dtype == then
    assert_same(actual, expected, 1e-4, 1e-5)


def results(net, data, dtype):
    """Output and gradients, by name."""
    x = mx.nd.array(data, dtype=dtype)
    x.attach_grad()
    with autograd.record():
        out = net(x)
    out.backward()
    yield "out", out.asnumpy()
    yield "data", x.grad.asnumpy()
    for name, p in net.collect_params().items():
        if p.grad_req != "null":
            yield name, p.grad().asnumpy()


def test_begin_state_follows_a_cast():
    block = stack(dropout=0.2, bidirectional=True)
    block.cast("float64")
    block.initialize()
    assert {state.dtype for state in block.begin_state(N)} == {np.float64}
    assert block(mx.nd.ones((T, N, C), dtype="float64")).dtype == np.float64


def cells_of(block, layers, mode, bidirectional):
    """Gluon's cells, which unroll step by step, with the block's values."""
    cells = gluon.rnn.HybridSequentialRNNCell()
    for _ in range(layers):
        cells.add(gluon.rnn.BidirectionalCell(CELLS[mode](H), CELLS[mode](H)) if bidirectional else CELLS[mode](H))
    cells.initialize()
    cells.unroll(T, mx.nd.ones((N, T, C)), layout="NTC", merge_outputs=True)
    parameters, expected = [], block.collect_params()
    for i in range(layers):
        cell = cells[i]
        for direction, one in zip("lr", cell._children.values() if bidirectional else (cell,)):
            for kind in ("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias"):
                name = f"{block.prefix}{direction}{i}_{kind}"
                getattr(one, kind).set_data(expected[name].list_data()[0].as_in_context(mx.cpu(0)))
                parameters.append((name[len(block.prefix):], getattr(one, kind)))
    return cells, parameters


@pytest.mark.parametrize("layers", [1, 2, 3, 6])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mode", CELLS)
def test_is_a_stack_of_cells(mode, bidirectional, layers):
    block = initialized_on_all(stack(layers, mode=mode, bidirectional=bidirectional, layout="NTC"))
    cells, named = cells_of(block, layers, mode, bidirectional)
    inputs = [uniform(N, T, C), *states_for(block)]
    rows = range(layers * (1 + bidirectional))

    def unrolled(data, *states):
        begin = [state[row] for row in rows for state in states]  # cell by cell
        out, news = cells.unroll(T, data, begin_state=begin, layout="NTC", merge_outputs=True)
        return [out] + [mx.nd.stack(*news[i::len(states)]) for i in range(len(states))]

    assert_same(trace(with_states(block), *inputs), trace(unrolled, *inputs), 1e-4, 1e-5)
    ours = gradients(block)
    assert len(named) == len(ours)
    assert_same([ours[name] for name, _ in named], [p.grad().asnumpy() for _, p in named], 1e-4, 1e-5)


def test_both_directions_are_two_layers():
    both = initialized_on_all(stack(1, bidirectional=True))
    left, right = (initialized_on_all(stack(1)) for _ in range(2))
    for one, direction in ((left, "l"), (right, "r")):
        for name, p in one.collect_params().items():
            p.set_data(both.collect_params()[f"{both.prefix}{direction}0_{name[len(one.prefix) + 3:]}"].data())

    def apart(data):
        return mx.nd.concat(left(data), right(data.flip(axis=0)).flip(axis=0), dim=2)

    assert_same(trace(both, uniform(T, N, C)), trace(apart, uniform(T, N, C)))


@pytest.mark.parametrize("layout", ["TNC", "NTC"])
@pytest.mark.parametrize("order", ["hybridize first", "initialize first", "not hybridized"])
def test_takes_its_width_whether_hybridized_before_or_after(order, layout):
    block = stack(layout=layout)
    if order == "hybridize first":
        block.hybridize()
    block.initialize()
    if order == "initialize first":
        block.hybridize()
    assert block.l0_i2h_weight.shape == (4 * H, 0) and block.l1_i2h_weight.shape == (4 * H, H)
    block(mx.nd.ones((3, 2, 7)))
    assert block.l0_i2h_weight.shape == (4 * H, 7) and block.l0_i2h_weight.grad() is not None
    assert repr(block).startswith("StackedLSTM(7 -> 6, ")


@pytest.mark.parametrize("layout", ["TNC", "NTC"])
def test_infer_shape_needs_no_call(layout):
    block = stack(layout=layout)
    block.initialize()
    block.infer_shape(mx.nd.ones((3, 2, 7)), block.begin_state(2))
    assert [p.shape[1] for p in block.collect_params(".*i2h_weight").values()] == [7, H]


def test_layouts_are_transposes():
    first = initialized_on_all(stack())
    second = initialized_on_all(stack(layout="NTC"))
    data, states = uniform(T, N, C), [mx.nd.array(state) for state in states_for(first)]
    out, news = first(mx.nd.array(data), states)
    other, others = second(mx.nd.array(data.swapaxes(0, 1)), states)
    assert_same([array.asnumpy() for array in (other, *others)],
                [array.asnumpy() for array in (out.swapaxes(0, 1), *news)])


def test_gradients_add_up_or_are_left_out_as_is_said():
    block, call = initialized_on_all(stack()), uniform(T, N, C)
    once = (trace(lambda x: block(x).as_in_context(mx.cpu(0)), call), gradients(block))[1]
    block.collect_params(".*l1").setattr("grad_req", "null")
    block.collect_params(".*l0").setattr("grad_req", "add")
    block.collect_params(".*l0").zero_grad()
    for _ in range(3):
        trace(lambda x: block(x).as_in_context(mx.cpu(0)), call)
    for name, p in block.collect_params(".*l0").items():
        np.testing.assert_allclose(p.grad().asnumpy(), 3 * once[name[len(block.prefix):]], 1e-5, 1e-6, err_msg=name)
    with pytest.raises(RuntimeError, match="because grad_req='null'"):
        block.l1_i2h_weight.grad(CONTEXTS[1])


def test_data_parallelism_runs_each_part_where_it_is():
    block, plain = StackedLSTM(H, 2, input_size=C), initialized_on_all(stack(contexts=CONTEXTS[:1]))
    block.initialize(ctx=CONTEXTS)
    same_values(block, plain)
    data = mx.nd.array(uniform(T, N, C))
    for context in CONTEXTS:
        out, states = block(data.as_in_context(context), block.begin_state(N, ctx=context))
        assert {array.context for array in (out, *states)} == {context}
        assert_same([out.asnumpy()], [plain(data).asnumpy()])


@pytest.mark.parametrize("options", [{}, {"num_layers": 1}, {"dropout": 0.25}, {"bidirectional": True},
                                     {"layout": "NTC", "input_size": 4}], ids=str)
@pytest.mark.parametrize("mode", LAYERS)
def test_repr_is_gluons(mode, options):
    options = {"num_layers": 2, **options}
    theirs = repr(LAYERS[mode](H, **options))
    assert repr(StackedLSTM(H, mode=mode, **options)) == "StackedLSTM" + theirs[theirs.index("("):]


def test_values_do_not_depend_on_where_the_layers_are():
    drawn = []
    for contexts in (None, CONTEXTS, CONTEXTS[::-1]):
        mx.random.seed(3)
        block = StackedLSTM(H, 2, contexts, input_size=C)
        block.initialize()
        drawn.append(values_anywhere(block))
    assert_same(drawn[1], drawn[0], 0, 0)
    assert_same(drawn[2], drawn[0], 0, 0)


def values_anywhere(block):
    return [p.list_data()[0].asnumpy() for p in block.collect_params().values()]
