"""Exported blocks, imported by a program that has never heard of mxmp: the same outputs and gradients, at any size."""
import json
import os
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from helpers.blocks import (
    CASES,
    HYBRID,
    RECURRENT,
    ROWS,
    STEPS,
    USES,
    WIDTH,
    make_chain,
    states_for,
    with_states,
    within,
)
from helpers.plain import assert_same, initialized, trace, uniform

from mxmp import nn

pytestmark = pytest.mark.filterwarnings("ignore:Cannot decide type for the following arguments")  # any import's
SIZES = [(STEPS, ROWS), (STEPS + 2, ROWS + 1), (1, 1)]  # the first is traced
WITHOUT = [(name, form) for name, form in USES if name in HYBRID and not (name in RECURRENT and form == "alone")]
WITH = [(name, form) for name in RECURRENT for form in ("alone", "inside a block") if name in HYBRID]


class Exported:
    """A block and the files that it was exported to."""

    def __init__(self, folder, name, form, states):
        self.folder, self.file = folder, f"{name}-{form}-{states}".replace(" ", "-").replace("'", "")
        self.net = within(form, CASES[name].make(WIDTH))
        self.net.hybridize()
        self.call = with_states(self.net, len(CASES[name].inputs(1, 1))) if states else self.net
        self.runs = [CASES[name].inputs(steps, rows) + (states_for(name, rows) if states else [])
                     for steps, rows in SIZES]
        initialized(self.net, *self.runs[0], call=self.call)
        self.net.export(str(folder / self.file))
        for which, arrays in enumerate(self.runs):
            np.savez(folder / f"{self.file}-{which}.npz", *arrays)

    def case(self):
        count = len(self.runs[0])
        names = ["data"] if count == 1 else [f"data{i}" for i in range(count)]
        return {"file": self.file, "names": names, "runs": len(self.runs)}

    def compare(self, names):
        """Outputs and gradients of this run and of the import; parameters may be in another order."""
        ours = list(self.net.collect_params().keys())
        assert sorted(names) == sorted(ours)
        for which, arrays in enumerate(self.runs):
            expected = trace(self.call, *arrays, block=self.net)
            saved = np.load(self.folder / f"{self.file}-{which}-passed.npz")
            passed = [saved[f"arr_{i}"] for i in range(len(saved.files))]
            others = len(expected) - len(ours)
            assert_same(passed, expected[:others] + [expected[others + ours.index(name)] for name in names])


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """All exports, and what the other program said of them."""
    folder = tmp_path_factory.mktemp("exported")
    exports = {(name, form, states): Exported(folder, name, form, states)
               for uses, states in ((WITHOUT, False), (WITH, True)) for name, form in uses}
    (folder / "cases.json").write_text(json.dumps([export.case() for export in exports.values()]))
    program = Path(__file__).parents[1] / "helpers" / "imported.py"
    subprocess.run([sys.executable, str(program), str(folder)], check=True, cwd=folder, stderr=subprocess.DEVNULL,
                   env={**os.environ, "PYTHONPATH": ""})
    return exports, json.loads((folder / "imported.json").read_text())


def test_the_program_that_imports_has_nothing_of_ours(imported):
    assert imported[1]["mxmp"] is False


@pytest.mark.parametrize("name, form", WITHOUT)
def test_the_import_gives_the_same(imported, name, form):
    export = imported[0][name, form, False]
    export.compare(imported[1]["parameters"][export.file])


@pytest.mark.parametrize("name, form", WITH)
def test_the_import_gives_the_same_with_states(imported, name, form):
    export = imported[0][name, form, True]
    export.compare(imported[1]["parameters"][export.file])


@pytest.mark.parametrize("name", [name for name in RECURRENT if name in HYBRID and name != "StackedLSTM"])
def test_alone_its_states_go_in_and_come_out_though_it_was_called_without(tmp_path, name):
    block, inputs = CASES[name].make(WIDTH), CASES[name].inputs(STEPS, ROWS)
    block.hybridize()
    initialized(block, *inputs)
    block.export(str(tmp_path / "alone"))
    count = len(inputs) + len(states_for(name, 1))
    one = mx.gluon.SymbolBlock.imports(str(tmp_path / "alone-symbol.json"), [f"data{i}" for i in range(count)],
                                       str(tmp_path / "alone-0000.params"))
    arrays = arrays_of(inputs + states_for(name, ROWS))
    out, states = block(*arrays[:len(inputs)], arrays[len(inputs):])
    assert_same([array.asnumpy() for array in one(*arrays)], [array.asnumpy() for array in (out, *states)])


def on(contexts, chain):
    """The chain with fixed values and its layers spread over the contexts."""
    initialized(chain, *sequences())
    for i, layer in enumerate(chain.layers.values()):
        layer.collect_params().reset_ctx(contexts[i % len(contexts)])
    return chain


def sequences():
    return CASES["Chain"].inputs(STEPS, ROWS)


def arrays_of(inputs, ctx=None):
    return [mx.nd.array(array, ctx=ctx) for array in inputs]


@pytest.mark.parametrize("contexts", [[mx.cpu(0)], [mx.cpu(0), mx.cpu(1)]], ids=["one context", "two contexts"])
@pytest.mark.parametrize("hybridized", [False, True])
def test_a_chain_exports_wherever_its_layers_live(tmp_path, contexts, hybridized):
    chain = on(contexts, make_chain(WIDTH))
    if hybridized:
        chain.hybridize()
    path = str(tmp_path / "chain")
    chain.export(path, epoch=7, inputs=("below", "context"))
    one = mx.gluon.SymbolBlock.imports(f"{path}-symbol.json", ["below", "context"], f"{path}-0007.params",
                                       ctx=mx.cpu(2))
    out = one(*arrays_of(sequences(), mx.cpu(2)))
    assert out.context == mx.cpu(2)
    assert_same([out.asnumpy()], [chain(*arrays_of(sequences())).asnumpy()])


def test_a_chain_of_several_results_exports_all_of_them(tmp_path):
    chain = nn.Chain()
    chain.add(nn.Select(nn.LSTMLayer(WIDTH, input_size=WIDTH), take=(1,), keep=(0,)))
    initialized(chain)
    path = str(tmp_path / "chain")
    chain.export(path, inputs=("kept", "read"))
    one = mx.gluon.SymbolBlock.imports(f"{path}-symbol.json", ["kept", "read"], f"{path}-0000.params")
    arrays = arrays_of(sequences())
    assert_same([out.asnumpy() for out in one(*arrays)], [out.asnumpy() for out in chain(*arrays)])


def test_a_layer_that_cannot_be_exported_is_named(tmp_path):
    chain = nn.Chain()
    chain.add_named("own", mx.gluon.nn.Lambda(lambda data: data.reshape((data.shape[0], -1))))
    with pytest.raises(ValueError, match=r"layer 'own' \(Lambda\) works on arrays only and cannot be exported \('Sym"):
        chain.export(str(tmp_path / "chain"))


@pytest.mark.parametrize("numpy_arrays", [False, True])
def test_running_statistics_are_exported_as_gluon_exports_them(tmp_path, numpy_arrays):
    layers = [mx.gluon.nn.Dense(6, in_units=WIDTH, flatten=False), mx.gluon.nn.BatchNorm(axis=2, in_channels=6),
              mx.gluon.nn.Dense(2, in_units=6, flatten=False)]
    chain, plain, path = nn.Chain(), mx.gluon.nn.HybridSequential(), str(tmp_path / "file")
    chain.add(*layers)
    plain.add(*layers)
    with mx.util.np_shape(numpy_arrays), mx.util.np_array(numpy_arrays):
        chain.initialize()
        data = (mx.np if numpy_arrays else mx.nd).array(uniform(STEPS, ROWS, WIDTH), dtype="float32")
        with mx.autograd.record():
            chain(data)  # moves the running mean and variance away from 0 and 1
        plain.hybridize()
        expected = plain(data).asnumpy()
        files = []
        for block in (plain, chain):
            block.export(path)
            files.append({name: array.asnumpy() for name, array in mx.nd.load(f"{path}-0000.params").items()})
        one = mx.gluon.SymbolBlock.imports(f"{path}-symbol.json", ["data"], f"{path}-0000.params")
        assert_same([one(data).asnumpy()], [expected])
    assert files[1].keys() == files[0].keys() and sum(name.startswith("aux:") for name in files[1]) == 2
    assert_same([files[1][name] for name in files[0]], list(files[0].values()), 0, 0)


@pytest.mark.parametrize("layout", ["TNC", "NTC"])
@pytest.mark.parametrize("with_states_", [False, True], ids=["without states", "with states"])
@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_a_stack_on_two_contexts_exports_as_gluons_on_one(tmp_path, mode, with_states_, layout):
    options = {"num_layers": 3, "bidirectional": True, "layout": layout}
    stacked = nn.StackedLSTM(WIDTH, contexts=[mx.cpu(0), mx.cpu(1)], mode=mode, **options)
    plain = {"lstm": mx.gluon.rnn.LSTM, "gru": mx.gluon.rnn.GRU}[mode](WIDTH, **options)
    data, = arrays_of(CASES["StackedLSTM"].inputs(STEPS, ROWS))
    data = data if layout == "TNC" else data.swapaxes(0, 1)
    plain.initialize()
    plain.hybridize()
    call = (data, plain.begin_state(ROWS, func=mx.nd.ones)) if with_states_ else (data,)
    plain(*call)
    plain.save_parameters(str(tmp_path / "values"))
    stacked.load_parameters(str(tmp_path / "values"))
    stacked(*call)
    count = 1 + len(plain.state_info())
    results = []
    for block, name in ((plain, "plain"), (stacked, "stacked")):
        block.export(str(tmp_path / name))
        imports = mx.gluon.SymbolBlock.imports(str(tmp_path / f"{name}-symbol.json"),
                                               [f"data{i}" for i in range(count)],
                                               str(tmp_path / f"{name}-0000.params"))
        out = imports(data, *plain.begin_state(ROWS, func=mx.nd.ones))
        results.append([array.asnumpy() for array in (out if isinstance(out, list) else [out])])
    assert_same(results[1], results[0])
    assert len(results[0]) == (count if with_states_ else 1)


def test_a_stack_that_was_never_called_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="run forward with this block at least once before calling export"):
        nn.StackedLSTM(4).export(str(tmp_path / "never"))


def test_a_network_with_a_stack_on_two_contexts_exports_once_it_is_on_one(tmp_path):
    net = mx.gluon.nn.HybridSequential()
    net.add(nn.StackedLSTM(4, 2, [mx.cpu(0), mx.cpu(1)], input_size=WIDTH), mx.gluon.nn.Dense(2, flatten=False))
    data, = arrays_of(CASES["StackedLSTM"].inputs(STEPS, ROWS))
    net.initialize(ctx=mx.cpu(1))
    expected = net(data)
    net.collect_params().reset_ctx(mx.cpu(0))
    net.hybridize()
    net(data)
    net.export(str(tmp_path / "net"))
    one = mx.gluon.SymbolBlock.imports(str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params"))
    assert_same([one(data).asnumpy()], [expected.asnumpy()])
