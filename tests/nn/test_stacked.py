"""StackedLSTM beside Gluon's own recurrent layers on one context."""
import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.nn import StackedLSTM

CONTEXTS = [mx.cpu(0), mx.cpu(1), mx.cpu(2)]
T, N, C, H = 5, 3, 4, 6
GLUON = {"lstm": gluon.rnn.LSTM, "gru": gluon.rnn.GRU, "rnn_tanh": gluon.rnn.RNN, "rnn_relu": gluon.rnn.RNN}


def gluons(mode="lstm", **options):
    if mode.startswith("rnn"):
        options["activation"] = mode[4:]
    return GLUON[mode](H, **options)


def data_for(layout="TNC", seed=0):
    shape = (T, N, C) if layout == "TNC" else (N, T, C)
    return mx.nd.array(np.random.RandomState(seed).randn(*shape))


def pair(tmp_path, mode="lstm", contexts=CONTEXTS[:2], num_layers=3, **options):
    """Gluon's layer, and the stack with its values, which came through a file."""
    plain = gluons(mode, num_layers=num_layers, **options)
    plain.initialize(mx.init.Uniform(0.5))
    plain(data_for(options.get("layout", "TNC")))
    plain.save_parameters(str(tmp_path / "plain.params"))
    stacked = StackedLSTM(H, num_layers, contexts, mode=mode, **options)
    stacked.load_parameters(str(tmp_path / "plain.params"))
    return plain, stacked


def run(block, layout="TNC", states=None):
    """Outputs, new states and the gradients of everything, by name without the block's prefix."""
    data = data_for(layout)
    data.attach_grad()
    states = [mx.nd.array(np.random.RandomState(i).randn(*info["shape"]))
              for i, info in enumerate(block.state_info(N))] if states is None else states
    for state in states:
        state.attach_grad()
    with autograd.record():
        out, new = block(data, states)
        total = (out ** 2).sum().as_in_context(mx.cpu(0))
        for i, state in enumerate(new):
            total = total + ((i + 2) * state ** 2).sum().as_in_context(mx.cpu(0))
    total.backward()
    results = {"out": out, "data": data.grad}
    for i, (state, after) in enumerate(zip(states, new)):
        results[f"state {i}"], results[f"state {i}'s gradient"] = after, state.grad
    for name, p in block.collect_params().items():
        results[name[len(block.prefix):]] = p.grad(p.list_ctx()[0])
    return {name: array.asnumpy() for name, array in results.items()}


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, 1e-5, 1e-6, err_msg=name)


@pytest.mark.parametrize("mode", GLUON)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layout", ["TNC", "NTC"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_outputs_states_and_gradients_are_gluons(tmp_path, mode, bidirectional, layout, count):
    plain, stacked = pair(tmp_path, mode, CONTEXTS[:count], bidirectional=bidirectional, layout=layout)
    expected = run(plain, layout)
    assert_same(run(stacked, layout), expected)
    stacked.hybridize()
    assert_same(run(stacked, layout), expected)


def test_layers_live_where_they_are_told_to():
    homes = {}
    for contexts in (CONTEXTS[:2], CONTEXTS[:1], [CONTEXTS[1], CONTEXTS[0], CONTEXTS[1], CONTEXTS[2]]):
        stacked = StackedLSTM(H, 4, contexts, input_size=C)
        stacked.initialize()
        layers = [stacked.collect_params(f".*l{i}_").values() for i in range(4)]
        homes[len(contexts)] = [sorted({str(p.list_ctx()[0]) for p in layer}) for layer in layers]
    assert homes == {2: [["cpu(0)"], ["cpu(0)"], ["cpu(1)"], ["cpu(1)"]], 1: [["cpu(0)"]] * 4,
                     4: [["cpu(1)"], ["cpu(0)"], ["cpu(1)"], ["cpu(2)"]]}


def test_names_shapes_and_types_are_gluons():
    plain, stacked = gluons(num_layers=2, input_size=C, prefix="x_"), StackedLSTM(H, 2, input_size=C, prefix="x_")
    assert [(p.name, p.shape, p.dtype) for p in stacked.collect_params().values()] == [
        (p.name, p.shape, p.dtype) for p in plain.collect_params().values()]
    assert repr(stacked) == repr(plain).replace("LSTM", "StackedLSTM")


def test_without_states_it_returns_the_output_only(tmp_path):
    plain, stacked = pair(tmp_path)
    out = stacked(data_for())
    assert isinstance(out, mx.nd.NDArray) and out.context == mx.cpu(1)
    np.testing.assert_allclose(out.asnumpy(), plain(data_for()).asnumpy(), 1e-5, 1e-6)


def test_begin_state_is_gluons():
    plain, stacked = gluons(num_layers=2, bidirectional=True), StackedLSTM(H, 2, CONTEXTS[:2], bidirectional=True)
    for states in (plain.begin_state(N), stacked.begin_state(N)):
        assert [(s.shape, s.dtype, s.context) for s in states] == [((4, N, H), np.float32, mx.cpu(0))] * 2
    assert stacked.begin_state(N, func=mx.nd.ones, ctx=mx.cpu(1))[0].asnumpy().all()


def test_states_and_inputs_on_another_context_are_moved(tmp_path):
    _, stacked = pair(tmp_path)
    out, states = stacked(data_for().as_in_context(mx.cpu(2)), stacked.begin_state(N, ctx=mx.cpu(2)))
    assert {array.context for array in (out, *states)} == {mx.cpu(1)}


def test_a_file_goes_to_gluon_and_back(tmp_path):
    plain, stacked = pair(tmp_path, bidirectional=True)
    stacked.save_parameters(str(tmp_path / "stacked.params"))
    again = gluons(num_layers=3, bidirectional=True)
    again.load_parameters(str(tmp_path / "stacked.params"))
    assert_same(run(again), run(plain))


def test_a_networks_initialize_and_load_leave_the_layers_where_they_are(tmp_path):
    net = gluon.nn.Sequential()
    net.add(StackedLSTM(H, 2, CONTEXTS[:2], input_size=C))
    net.initialize(ctx=mx.cpu(2))
    net.save_parameters(str(tmp_path / "net.params"))
    other = gluon.nn.Sequential()
    other.add(StackedLSTM(H, 2, CONTEXTS[1:]))
    other.load_parameters(str(tmp_path / "net.params"), ctx=mx.cpu(0))
    assert [p.list_ctx() for p in net.collect_params("l0|.*l0_i2h_weight").values()] == [[mx.cpu(0)]]
    assert {p.list_ctx()[0] for p in other.collect_params().values()} == set(CONTEXTS[1:])
    np.testing.assert_array_equal(net(data_for()).asnumpy(), other(data_for()).asnumpy())


def test_reset_ctx_moves_everything(tmp_path):
    plain, stacked = pair(tmp_path, contexts=CONTEXTS)
    stacked.collect_params().reset_ctx(mx.cpu(1))
    assert {p.list_ctx()[0] for p in stacked.collect_params().values()} == {mx.cpu(1)}
    assert_same(run(stacked), run(plain))


def test_other_types(tmp_path):
    plain, stacked = pair(tmp_path)
    for block in (plain, stacked):
        block.cast("float64")
    out, states = stacked(data_for().astype("float64"), stacked.begin_state(N))
    expected, _ = plain(data_for().astype("float64"), plain.begin_state(N))
    assert {array.dtype for array in (out, *states)} == {np.float64}
    np.testing.assert_allclose(out.asnumpy(), expected.asnumpy(), 1e-12)


def test_dropout_works_between_layers_in_training_only():
    stacked = StackedLSTM(H, 2, CONTEXTS[:2], dropout=0.5, input_size=C)
    stacked.initialize()
    assert (stacked(data_for()) == stacked(data_for())).asnumpy().all()
    with autograd.train_mode():
        assert (stacked(data_for()) != stacked(data_for())).asnumpy().any()
    one = StackedLSTM(H, 1, dropout=0.5, input_size=C)  # nothing lies between
    one.initialize()
    with autograd.train_mode():
        assert (one(data_for()) == one(data_for())).asnumpy().all()


def test_residuals_begin_where_they_are_told_to(tmp_path):
    plain, _ = pair(tmp_path)
    stacked = StackedLSTM(H, 3, CONTEXTS[:2], residual_from=1)
    stacked.load_parameters(str(tmp_path / "plain.params"))
    out = data_for()
    for i in range(3):
        layer = gluon.rnn.LSTM(H, input_size=C if i == 0 else H, prefix=f"one{i}_")
        layer.initialize()
        for name, p in layer.collect_params().items():
            p.set_data(plain.collect_params()[plain.prefix + name[5:].replace("l0", f"l{i}")].data())
        out = layer(out) + (out if i else 0)
    np.testing.assert_allclose(stacked(data_for()).asnumpy(), out.asnumpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("layout", ["TNC", "NTC"])
def test_as_chain_gives_a_pipeline_the_same_layers(tmp_path, layout):
    plain, stacked = pair(tmp_path, layout=layout)
    data, loss = data_for(layout), gluon.loss.L2Loss(batch_axis=layout.index("N"))
    label = mx.nd.zeros((T, N, H) if layout == "TNC" else (N, T, H))
    with autograd.record():
        total = loss(plain(data), label).sum()
    total.backward()
    chain = stacked.as_chain()
    counts = (2, len(chain.layers) - 2)
    with Pipeline(chain, Plan(counts, tuple(CONTEXTS[:2])), loss, num_microbatches=3, layout=layout) as pipe:
        step_loss = pipe.forward_backward(data, label)
        np.testing.assert_allclose(step_loss.asnumpy(), total.asnumpy().reshape(1), 1e-5)
        expected = plain.collect_params()
        for name, p in stacked.collect_params().items():
            np.testing.assert_allclose(p.grad(p.list_ctx()[0]).asnumpy(),
                                       expected[plain.prefix + name[len(stacked.prefix):]].grad().asnumpy(), 1e-5, 1e-6,
                                       err_msg=name)


def test_a_wavefront_carries_its_states_from_chunk_to_chunk(tmp_path):
    plain, stacked = pair(tmp_path)
    with Pipeline(stacked.as_chain(), Plan((1, 2), tuple(CONTEXTS[:2])), num_chunks=T, schedule="wavefront",
                  layout="TNC") as pipe:
        np.testing.assert_allclose(pipe(data_for()).asnumpy(), plain(data_for()).asnumpy(), 1e-5, 1e-6)
    _, both_ways = pair(tmp_path, bidirectional=True)
    with pytest.raises(ValueError, match="layer 'layer_0' .* needs the whole sequence at once"):
        Pipeline(both_ways.as_chain(), Plan((3,), tuple(CONTEXTS[:1])), num_chunks=2, layout="TNC")


def test_is_exported_where_it_lives_on_one_context(tmp_path):
    net = gluon.nn.HybridSequential()
    net.add(StackedLSTM(H, 2, input_size=C), gluon.nn.Dense(2, flatten=False, in_units=H))
    net.initialize()
    net.hybridize()
    expected = net(data_for())
    net.export(str(tmp_path / "net"))
    again = gluon.SymbolBlock.imports(str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params"))
    np.testing.assert_allclose(again(data_for()).asnumpy(), expected.asnumpy(), 1e-6)


def test_parameters_can_be_shared():
    first = StackedLSTM(H, 2, CONTEXTS[:2], input_size=C)
    second = StackedLSTM(H, 2, CONTEXTS[:2], input_size=C, params=first.params)
    first.initialize()
    np.testing.assert_array_equal(first(data_for()).asnumpy(), second(data_for()).asnumpy())


def test_states_of_another_shape_are_refused(tmp_path):
    _, stacked = pair(tmp_path)
    with pytest.raises(ValueError, match=r"Invalid recurrent state shape. Expecting \[\(3, 3, 6\), \(3, 3, 6\)\], got"):
        stacked(data_for(), stacked.begin_state(N + 1))


@pytest.mark.parametrize("options, message", [
    ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
    ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
    ({"num_layers": 2, "contexts": CONTEXTS}, "2 layers cannot live on 3 contexts; give at least one"),
    ({"contexts": []}, "1 layers cannot live on 0 contexts"),
    ({"contexts": mx.cpu(1)}, r"contexts must be a sequence of contexts, .*; got cpu\(1\)"),
    ({"contexts": ["cpu(0)"]}, r"contexts must be a sequence of contexts, .*; got \['cpu\(0\)'\]"),
    ({"layout": "CNT"}, "layout must be 'TNC' or 'NTC', got 'CNT'"),
    ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ({"residual_from": 0}, "residual_from must be at least 1"),
    ({"mode": "qrnn"}, "mode must be one of lstm, gru, rnn_tanh, rnn_relu; got 'qrnn'"),
])
def test_says_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        StackedLSTM(**{"hidden_size": H, **options})


def test_its_summary_is_gluons(capsys):
    printed = []
    for block in (gluons(num_layers=2), StackedLSTM(H, 2, CONTEXTS[:2])):
        block.initialize()
        block.summary(data_for())
        printed.append([line.split() for line in capsys.readouterr().out.splitlines()])
    assert [row for row in printed[1] if row[:1] != ["StackedLSTM-1"]] == [
        row for row in printed[0] if row[:1] != ["LSTM-1"]]
