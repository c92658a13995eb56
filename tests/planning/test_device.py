import pytest

from mxmp.planning import DEVICES, Device, LayerCost, Link, estimate


def test_a_link_takes_its_latency_and_then_the_bytes():
    assert Link(0.5, 10.0).seconds(20) == 2.5
    assert Link().seconds(10 ** 12) == 0


def test_time_is_that_of_the_slower_of_arithmetic_and_memory():
    device = Device(100.0, 10.0)
    heavy, light = LayerCost("dense", 1000, {"p": 10}), LayerCost("table", 10, {"p": 30}, activation_bytes=80)
    assert [(c.forward, c.backward) for c in estimate([heavy, light], device)] == [(10.0, 20.0), (20.0, 40.0)]


def test_calls_and_time_steps_cost_something_of_their_own():
    cost, = estimate([LayerCost("lstm", 100, {}, steps=20)], Device(100.0, layer_seconds=0.5, step_seconds=0.25))
    assert (cost.forward, cost.backward) == (1 + 0.5 + 5, 2 + 0.5 + 5)


def test_says_which_layer_it_cannot_estimate():
    with pytest.raises(ValueError, match="layer 'odd': a Odd is of a kind"):
        estimate([LayerCost("odd", 0, {}, note="a Odd is of a kind whose work is not known")], DEVICES["cpu"])
