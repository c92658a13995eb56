"""What every Gluon block can do, each public block can: names, files, types, contexts, repr, summary."""
import inspect
import re

import mxnet as mx
import numpy as np
import pytest
from helpers.blocks import CASES, HYBRID, RECURRENT, ROWS, STEPS, WIDTH, states_for
from helpers.plain import assert_same, flatten, initialized, to_array, values

from mxmp import nn

NAMED = [name for name, case in CASES.items() if not case.wraps]
WEIGHTED = [name for name in CASES if name not in ("TimeFirst", "LabelSmoothedLoss")]


def inputs_for(name, dtype="float32", ctx=None):
    return [to_array(array, dtype, ctx) for array in CASES[name].inputs(STEPS, ROWS)]


def results(name, block, *args):
    """All outputs as numpy arrays."""
    return [array.asnumpy() for array in flatten(block(*(args or inputs_for(name))))]


def built(name, width=WIDTH, **kwargs):
    return initialized(CASES[name].make(width, **kwargs), *CASES[name].inputs(STEPS, ROWS))


@pytest.mark.parametrize("name", CASES)
def test_prefix_and_params_come_last(name):
    signature = inspect.signature(getattr(nn, name).__init__)
    if name == "Chain":  # that of gluon.nn.Sequential
        assert signature == inspect.signature(mx.gluon.nn.Sequential.__init__)
        return
    assert list(signature.parameters)[-2:] == ["prefix", "params"]
    assert [signature.parameters[last].default for last in ("prefix", "params")] == [None, None]


@pytest.mark.parametrize("name", NAMED)
def test_all_names_begin_with_the_prefix(name):
    block = CASES[name].make(WIDTH, prefix="mine_")
    assert block.prefix == "mine_" and block.name == "mine"
    assert all(key.startswith("mine_") for key in block.collect_params())
    first, second = CASES[name].make(WIDTH), CASES[name].make(WIDTH)
    assert re.fullmatch(rf"{name.lower()}\d+_", first.prefix) and first.prefix != second.prefix
    assert not set(first.collect_params()) & set(second.collect_params())


@pytest.mark.parametrize("name", NAMED)
def test_params_of_another_block_are_shared(name):
    first = CASES[name].make(WIDTH, prefix="both_")
    second = CASES[name].make(WIDTH, prefix="both_", params=first.collect_params())
    ours, theirs = list(second.collect_params().values()), list(first.collect_params().values())
    assert len(ours) == len(theirs) and all(one is other for one, other in zip(ours, theirs))


@pytest.mark.parametrize("name", CASES)
def test_collect_params_selects(name):
    params = CASES[name].make(WIDTH).collect_params
    for pattern in (".*weight", ".*bias|.*parameters", "nothing"):
        assert list(params(pattern)) == [key for key in params() if re.match(pattern, key)]


@pytest.mark.parametrize("width", [0, WIDTH], ids=["deferred", "sized"])
@pytest.mark.parametrize("name", CASES)
def test_a_parameter_file_gives_the_same_block(tmp_path, name, width):
    block, other = built(name), CASES[name].make(width)
    block.save_parameters(str(tmp_path / "values"))
    other.load_parameters(str(tmp_path / "values"), ctx=mx.cpu(1) if name in WEIGHTED else None)
    assert {ctx for p in other.collect_params().values() for ctx in p.list_ctx()} <= {mx.cpu(1)}
    assert_same(values(other), values(block), 0, 0)
    assert_same(results(name, other), results(name, block), 0, 0)


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_file_that_lacks_something_is_refused(tmp_path, name):
    mx.nd.save(str(tmp_path / "empty"), {"other.weight": mx.nd.ones((1,))})
    with pytest.raises(AssertionError, match="is missing in file"):
        CASES[name].make(WIDTH).load_parameters(str(tmp_path / "empty"))


@pytest.mark.parametrize("when", ["before it has values", "before its first call", "after it", "after hybridize"])
@pytest.mark.parametrize("name", CASES)
def test_cast(name, when):
    block = CASES[name].make(0 if when == "before its first call" else WIDTH)
    if when == "before it has values":
        block.cast("float64")
    block.initialize()
    if when == "after hybridize":
        block.hybridize()
    if when.startswith("after"):
        block(*inputs_for(name))
    if when != "before it has values":
        block.cast("float64")
    outputs = flatten(block(*inputs_for(name, "float64")))
    assert {array.dtype for array in outputs} == {np.float64}
    assert {np.dtype(p.dtype) for p in block.collect_params().values()} <= {np.dtype("float64")}
    if name in RECURRENT:
        assert {state.dtype for state in block.begin_state(ROWS)} == {np.float64}
    single = CASES[name].make(WIDTH)
    initialized(single, *CASES[name].inputs(STEPS, ROWS))
    for ours, theirs in zip(block.collect_params().values(), single.collect_params().values()):
        ours.set_data(theirs.data().astype("float64"))
    assert_same(results(name, block, *inputs_for(name, "float64")), results(name, single))


@pytest.mark.parametrize("name", CASES)
def test_apply_visits_children_first_and_the_block_last(name):
    block, seen = CASES[name].make(WIDTH), []
    assert block.apply(seen.append) is block
    assert seen[-1] is block and all(child in seen for child in block._children.values())
    assert len(seen) == len({id(one) for one in seen})


@pytest.mark.parametrize("name", WEIGHTED)
def test_initialize_draws_anew_only_if_forced(name):
    block = CASES[name].make(WIDTH)
    mx.random.seed(1)
    block.initialize(mx.init.Uniform(1))
    first = [results(name, block), values(block)][1]
    with pytest.warns(UserWarning, match="is already initialized, ignoring"):
        block.initialize(mx.init.Uniform(1))
    assert_same(values(block), first, 0, 0)
    block.initialize(mx.init.Uniform(1), force_reinit=True)
    assert any((new != old).any() for new, old in zip(values(block), first))


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", WEIGHTED)
def test_reset_ctx_moves_the_block(name, hybridize):
    block = built(name)
    if hybridize:
        block.hybridize()
    expected = results(name, block)
    block.collect_params().reset_ctx(mx.cpu(1))
    outputs = flatten(block(*inputs_for(name, ctx=mx.cpu(1))))
    assert {array.context for array in outputs} == {mx.cpu(1)}
    assert_same([array.asnumpy() for array in outputs], expected)


@pytest.mark.parametrize("name", WEIGHTED)
def test_frozen_parameters_get_no_gradient(name):
    block = built(name)
    block.collect_params().setattr("grad_req", "null")
    inputs = inputs_for(name)
    inputs[0].attach_grad()
    with mx.autograd.record():
        out = flatten(block(*inputs))
    if name != "SequenceEmbedding":  # nothing is left to differentiate by
        mx.autograd.backward(out)
    assert all(p._grad is None for p in block.collect_params().values())


REPR = {"LSTMLayer": ("LSTMLayer(None -> 6)", "LSTMLayer(4 -> 6)"),
        "RecurrentLayer": ("RecurrentLayer(None -> 6, lstm)", "RecurrentLayer(4 -> 6, lstm)"),
        "StackedLSTM": ("StackedLSTM(None -> 6, TNC, num_layers=2)", "StackedLSTM(4 -> 6, TNC, num_layers=2)"),
        "TimeFirst": ("TimeFirst", "TimeFirst"),
        "LabelSmoothedLoss": ("LabelSmoothedLoss(smoothing=0.1)", "LabelSmoothedLoss(smoothing=0.1)")}


@pytest.mark.parametrize("name", CASES)
def test_repr_tells_sizes_or_children(name):
    unknown, known = repr(CASES[name].make(0)), repr(built(name))
    if name in REPR:
        assert (unknown, known) == REPR[name]
    else:  # Gluon's, with a line for each child
        children = CASES[name].make(WIDTH)._children
        assert children and known.startswith(f"{name}(\n") and known.endswith("\n)")
        assert all(f"  ({child}): {type(block).__name__}(" in known for child, block in children.items())
    assert name == "SequenceEmbedding" or name in ("TimeFirst", "LabelSmoothedLoss") or "None -> " in unknown
    assert "None -> " not in known


def test_repr_of_a_bidirectional_layer():
    assert repr(nn.RecurrentLayer(0, 6, "gru", 2)) == "RecurrentLayer(None -> 6, gru, bidirectional)"


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_summary_counts_each_parameter_once(capsys, name, states):
    if states and name not in RECURRENT:
        return
    block = built(name)
    inputs = inputs_for(name) + ([[to_array(state) for state in states_for(name, ROWS)]] if states else [])
    block.summary(*inputs)
    printed = capsys.readouterr().out
    total = int(re.search(r"Total params: (\d+)", printed).group(1))
    assert total == sum(p.data().size for p in block.collect_params().values())
    out = flatten(block(*inputs))[0]
    assert ", ".join(map(str, out.shape)) in printed
    assert name == "Chain" or f"{name}-" in printed  # Gluon does not print sequences themselves
    assert_same(results(name, block), results(name, built(name)), 0, 0)  # and leaves no hooks behind


@pytest.mark.parametrize("name", HYBRID)
def test_summary_of_a_hybridized_block_is_refused(name):
    block = built(name)
    block.hybridize()
    if name == "StackedLSTM":
        block.summary(*inputs_for(name))  # its layers are hybridized, not the block: Gluon can look at it
        return
    with pytest.raises(AssertionError, match="must not be hybridized to print summary"):
        block.summary(*inputs_for(name))


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_trainer_changes_every_parameter(name):
    block = built(name)
    trainer = mx.gluon.Trainer(block.collect_params(), "sgd", {"learning_rate": 1.0})
    before = values(block)
    with mx.autograd.record():
        total = sum((array ** 2).sum() for array in flatten(block(*inputs_for(name))))
    total.backward()
    trainer.step(1)
    assert all((new != old).any() for new, old in zip(values(block), before))
