import mxnet as mx
import numpy as np
import pytest

from mxmp.nn.placed import PlacedParameter


def test_it_is_initialized_on_its_own_context_whatever_is_asked_for():
    placed = PlacedParameter("p", mx.cpu(1), shape=(2,))
    placed.initialize(ctx=mx.cpu(0))
    assert placed.list_ctx() == [mx.cpu(1)]


def test_deferred_initialization_goes_there_too():
    placed = PlacedParameter("p", mx.cpu(1), shape=(2, 0), allow_deferred_init=True)
    placed.initialize()
    placed.shape = (2, 3)
    placed._finish_deferred_init()
    assert placed.data().context == mx.cpu(1)


@pytest.mark.parametrize("initialized", [False, True])
def test_loading_leaves_it_there(initialized):
    placed = PlacedParameter("p", mx.cpu(1), shape=(2,))
    if initialized:
        placed.initialize()
    placed._load_init(mx.nd.array([3, 4]), mx.cpu(0))
    assert placed.list_ctx() == [mx.cpu(1)]
    np.testing.assert_array_equal(placed.data().asnumpy(), [3, 4])


def test_reset_ctx_moves_it_for_good():
    placed = PlacedParameter("p", mx.cpu(1), shape=(2,))
    placed.initialize()
    placed.reset_ctx([mx.cpu(0)])
    assert placed.list_ctx() == [mx.cpu(0)]
    placed.initialize(ctx=mx.cpu(2), force_reinit=True)
    assert placed.list_ctx() == [mx.cpu(2)]


def test_without_a_place_it_is_an_ordinary_parameter():
    ordinary = PlacedParameter("p", shape=(2,))
    ordinary.initialize(ctx=[mx.cpu(0), mx.cpu(2)])
    assert ordinary.list_ctx() == [mx.cpu(0), mx.cpu(2)]
