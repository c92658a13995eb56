"""What StackedLSTM is given, beside Gluon's layers: empty arrays, other ranks, MXNet's NumPy arrays."""
import subprocess
import sys

import mxnet as mx
import pytest
from helpers.gluon_stacks import LAYERS, C, H, N, T, same_values, stack, states_for
from helpers.plain import assert_same, flatten, uniform
from mxnet import autograd, gluon


@pytest.mark.parametrize("with_state", [False, True], ids=["without states", "with states"])
@pytest.mark.parametrize("layout", ["TNC", "NTC"])
@pytest.mark.parametrize("shape", [(5, 4), (5, 3, 4, 1), (4,)], ids=str)
def test_data_of_another_rank_is_refused(shape, layout, with_state):
    block = stack(layout=layout)
    block.initialize()
    with pytest.raises(ValueError, match=rf"data must have three axes {layout} .*, got shape \({shape[0]},"):
        block(mx.nd.ones(shape), *([block.begin_state(3)] if with_state else []))


@pytest.mark.parametrize("form", ["without states", "with states", "hybridized", "in training"])
@pytest.mark.parametrize("layout", ["TNC", "NTC"])
@pytest.mark.parametrize("shape", [(T, 0, C), (0, N, C), (0, 0, C)], ids=str)
def test_data_without_rows_or_steps_is_refused(shape, layout, form):
    block = stack(layout=layout, input_size=C)
    block.initialize()
    if form == "hybridized":
        block.hybridize()
    with mx.util.np_shape(True), autograd.record(form == "in training"):
        data = mx.nd.ones(shape)
        with pytest.raises(ValueError, match="has no rows or no steps.*leave empty batches out"):
            block(data, *([block.begin_state(1)] if form == "with states" else []))


CRASH = """
import mxnet as mx
lstm = mx.gluon.rnn.LSTM(6, 2, input_size=8)
lstm.initialize()
with mx.util.np_shape(True):
    data = mx.nd.ones((5, 0, 8))
    data.attach_grad()
    with mx.autograd.record():
        out = lstm(data)
    out.backward()
    print(data.grad.asnumpy().shape)
mx.nd.waitall()
"""


def test_gluons_own_layer_ends_the_process_for_a_batch_without_rows():
    """If this fails, MXNet is mended, and the refusal can go."""
    done = subprocess.run([sys.executable, "-c", CRASH], capture_output=True)
    assert done.returncode < 0 or done.returncode > 128


def test_without_numpy_shapes_there_are_no_empty_arrays():
    with pytest.raises(mx.base.MXNetError):
        mx.nd.ones((T, 0, C)).wait_to_read()


@mx.util.use_np
@pytest.mark.parametrize("mode", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layout", ["TNC", "NTC"])
@pytest.mark.parametrize("hybridize", [False, True])
def test_numpy_arrays_give_numpy_arrays_as_gluons(mode, bidirectional, layout, hybridize):
    options = {"bidirectional": bidirectional, "layout": layout}
    plain, block = LAYERS[mode](H, 2, **options), stack(mode=mode, **options)
    shape = (T, N, C) if layout == "TNC" else (N, T, C)
    results = []
    for one in (plain, block):
        one.initialize()
        one(mx.np.ones(shape))
        if one is block:
            same_values(block, plain)
        if hybridize:
            one.hybridize()
        data = mx.np.array(uniform(*shape), dtype="float32")
        states = [mx.np.array(state, dtype="float32") for state in states_for(one)]
        for array in (data, *states):
            array.attach_grad()
        with autograd.record():
            out, news = one(data, states)
            total = sum((array.as_in_context(mx.cpu(0)) ** 2).sum() for array in (out, *news))
        total.backward()
        assert {type(array) for array in (out, *news, data.grad)} == {mx.np.ndarray}
        grads = [p.list_grad()[0] for p in one.collect_params().values()]
        results.append([array.asnumpy() for array in (out, *news, data.grad, *[s.grad for s in states], *grads)])
        assert type(one.begin_state(N)[0]) is mx.np.ndarray
    assert_same(results[1], results[0])


@mx.util.use_np
@pytest.mark.parametrize("with_state", [False, True], ids=["without states", "with states"])
@pytest.mark.filterwarnings("ignore:Cannot decide type for the following arguments")
def test_numpy_arrays_export_too(tmp_path, with_state):
    block = stack(input_size=C)
    block.initialize()
    call = (mx.np.ones((T, N, C)), block.begin_state(N)) if with_state else (mx.np.ones((T, N, C)),)
    expected = flatten(block(*call))
    block.export(str(tmp_path / "np"))
    one = gluon.SymbolBlock.imports(str(tmp_path / "np-symbol.json"), ["data0", "data1", "data2"],
                                    str(tmp_path / "np-0000.params"))
    actual = flatten(one(call[0], *block.begin_state(N)))
    assert {type(array) for array in actual} == {mx.np.ndarray}
    assert_same([array.asnumpy() for array in actual], [array.asnumpy() for array in expected])


def test_numpy_and_legacy_arrays_are_not_mixed_which_is_mxnets_error():
    for one in (gluon.rnn.LSTM(H, 2, input_size=C), stack(input_size=C)):
        one.initialize()
        with pytest.raises(TypeError, match="legacy operator which can only accept legacy ndarrays"):
            one(mx.np.ones((T, N, C)))
