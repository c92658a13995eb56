import pytest

from mxmp.planning import LayerCost, parameter_bytes, stage_bytes

TABLE = {"table": 1000}
COSTS = [LayerCost("embedding", 0, TABLE, (), sent_bytes=50, activation_bytes=60),
         LayerCost("lstm", 300, {"lstm": 10}, (), sent_bytes=70, activation_bytes=500, forward=1.0, backward=2.5),
         LayerCost("projection", 100, {**TABLE, "bias": 3}, (), sent_bytes=90, activation_bytes=90)]


def test_a_backward_pass_has_two_products_for_each_of_the_forward_pass():
    assert COSTS[1].backward_flops == 600


def test_work_is_time_where_it_is_known_else_operations():
    assert [cost.work for cost in COSTS] == [0, 3.5, 300]


def test_a_shared_parameter_counts_once():
    assert parameter_bytes(COSTS) == 4 * (1000 + 10 + 3)
    assert parameter_bytes([LayerCost("half", 0, {"p": 10}, itemsize=2)]) == 20


@pytest.mark.parametrize("layers, live, states, expected", [
    (range(3), 1, 2, 4 * 4 * 1013 + 650), (range(3), 3, 0, 2 * 4 * 1013 + 3 * 650),
    (range(1, 2), 2, 1, 3 * 4 * 10 + 2 * (50 + 500)),  # it holds a copy of what the embedding sent
])
def test_a_stage_holds_parameters_gradients_states_and_live_activations(layers, live, states, expected):
    assert stage_bytes(COSTS, layers, live, states) == expected
