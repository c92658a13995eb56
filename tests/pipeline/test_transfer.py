"""Arrays that move: which handles and which memory they share afterwards."""
import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxmp.nn.operators import is_float
from mxmp.pipeline.transfer import copied, fresh

HERE, THERE = mx.cpu(0), mx.cpu(1)


@pytest.mark.parametrize("context", [HERE, THERE])
@pytest.mark.parametrize("move", [fresh, copied])
def test_values_and_type_arrive(move, context):
    array = mx.nd.array([1.5, np.nan, np.inf], ctx=HERE, dtype="float64")
    moved = move(array, context)
    assert moved.context == context and moved.dtype == np.float64
    np.testing.assert_array_equal(moved.asnumpy(), array.asnumpy())


@pytest.mark.parametrize("move, shared", [(fresh, True), (copied, False)])
def test_on_its_own_context_fresh_shares_the_memory_and_copied_does_not(move, shared):
    array = mx.nd.zeros((3,), ctx=HERE)
    moved = move(array, HERE)
    moved[:] = 1
    assert bool(array.sum().asscalar()) == shared


def test_two_recorded_graphs_over_fresh_handles_of_one_array_can_both_go_backward():
    mask, weight = mx.nd.array([2.0, 3.0], ctx=HERE), mx.nd.ones((2,), ctx=HERE)
    weight.attach_grad("add")
    totals = []
    for _ in range(2):
        with autograd.record():
            totals.append((weight * fresh(mask, HERE)).sum())
    for total in totals:
        total.backward()
    assert weight.grad.asnumpy().tolist() == [4, 6]


def test_a_fresh_handle_is_cut_off_from_the_graph_that_made_the_array():
    x = mx.nd.ones((2,), ctx=HERE)
    x.attach_grad()
    with autograd.record():
        handle = fresh(x * 3, HERE)
    handle.attach_grad()
    with autograd.record():
        total = (handle * handle).sum()
    total.backward()
    assert handle.grad.asnumpy().tolist() == [6, 6] and x.grad.asnumpy().tolist() == [0, 0]


@pytest.mark.parametrize("dtype, expected", [("float16", True), ("float32", True), ("float64", True),
                                             ("int8", False), ("uint8", False), ("int32", False), ("int64", False)])
def test_floating_point_types_have_gradients(dtype, expected):
    assert is_float(mx.nd.ones((1,), dtype=dtype)) is expected
