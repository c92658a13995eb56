"""Each public block by itself, inside a user's block and in a sequence: the same numbers however it is run."""
import inspect

import mxnet as mx
import pytest
from helpers.blocks import CASES, ELSEWHERE, FORMS, RECURRENT, ROWS, STEPS, USES, WIDTH, states_for, with_states, within
from helpers.plain import assert_same, initialized, trace

from mxmp import nn

MODES = {"plain": None, "hybridized": {}, "static_alloc": {"static_alloc": True},
         "static_shape": {"static_alloc": True, "static_shape": True}}


def test_every_public_block_is_in_the_table():
    blocks = {name for name in nn.__all__ if inspect.isclass(getattr(nn, name))
              and issubclass(getattr(nn, name), mx.gluon.Block)}
    assert blocks == CASES.keys() | ELSEWHERE.keys()
    assert all(type(case.make(WIDTH)).__name__ == name for name, case in CASES.items())


def built(name, form, width, mode, *arrays, states=0):
    """The block with fixed values; with ``width`` 0 the call that settles its shapes is in the mode that is tested."""
    net = within(form, CASES[name].make(width))
    if MODES[mode] is not None:
        net.hybridize(**MODES[mode])
    call = with_states(net, len(arrays) - states) if states else net
    return initialized(net, *arrays, call=call), call


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [0, WIDTH], ids=["deferred", "sized"])
@pytest.mark.parametrize("name, form", USES)
def test_outputs_and_every_gradient_are_the_plain_blocks(name, form, width, mode):
    arrays = CASES[name].inputs(STEPS, ROWS)
    plain, _ = built(name, "alone", WIDTH, "plain", *arrays)
    net, _ = built(name, form, width, mode, *arrays)
    for inputs in (arrays, CASES[name].inputs(STEPS + 2, ROWS + 1), CASES[name].inputs(1, 1), arrays):
        assert_same(trace(net, *inputs, block=net), trace(plain, *inputs, block=plain))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [0, WIDTH], ids=["deferred", "sized"])
@pytest.mark.parametrize("form", FORMS[:2])
@pytest.mark.parametrize("name", RECURRENT)
def test_so_they_are_with_states(name, form, width, mode):
    arrays = CASES[name].inputs(STEPS, ROWS) + states_for(name, ROWS)
    states = len(states_for(name, 1))
    plain, call_plain = built(name, "alone", WIDTH, "plain", *arrays, states=states)
    net, call = built(name, form, width, mode, *arrays, states=states)
    for steps, rows in ((STEPS, ROWS), (STEPS + 2, ROWS + 1)):
        inputs = CASES[name].inputs(steps, rows) + states_for(name, rows)
        assert_same(trace(call, *inputs, block=net), trace(call_plain, *inputs, block=plain))


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "static_shape"])  # docs/pipeline.md says why
@pytest.mark.parametrize("name", RECURRENT)
def test_zero_states_are_as_good_as_none_whichever_form_came_first(name, mode):
    inputs = CASES[name].inputs(STEPS, ROWS)
    zeros = inputs + [0 * state for state in states_for(name, ROWS)]
    net, _ = built(name, "alone", WIDTH, mode, *inputs)
    call = with_states(net, len(inputs))
    for _ in range(2):
        with_zeros, without = trace(call, *zeros, block=net), trace(net, *inputs, block=net)
        assert_same([without[0]], [with_zeros[0]])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_gradients_of_several_backward_passes_add_up(name, mode):
    arrays = CASES[name].inputs(STEPS, ROWS)
    net, _ = built(name, "alone", WIDTH, mode, *arrays)
    size = len(net.collect_params().keys())
    once = trace(net, *arrays, block=net)
    net.collect_params().setattr("grad_req", "add")
    net.collect_params().zero_grad()
    for passes in (1, 2, 3):
        summed = trace(net, *arrays, block=net)
        assert_same(summed[len(summed) - size:], [passes * array for array in once[len(once) - size:]])
