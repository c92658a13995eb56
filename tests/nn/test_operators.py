"""Operators beside what MXNet's own give."""
import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, trace, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.nn.operators import side_by_side, total

SIZE = st.integers(1, 5)


class Join(mx.gluon.HybridBlock):
    def hybrid_forward(self, F, left, right):
        return side_by_side(F, left, right)


@settings(deadline=None, max_examples=20)
@given(steps=SIZE, rows=SIZE, width=SIZE, hybridize=st.booleans())
def test_is_concat_along_the_last_axis(steps, rows, width, hybridize):
    block = Join()
    if hybridize:
        block.hybridize()
    left, right = uniform(steps, rows, width, seed=1), uniform(steps, rows, width, seed=2)
    assert_same(trace(block, left, right), trace(lambda *arrays: mx.nd.concat(*arrays, dim=2), left, right),
                rtol=0, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_is_the_sum_over_the_last_axis_with_its_gradient(dtype):
    data = uniform(2, 3, 4)
    actual = trace(lambda x: total(mx.nd, x, 4, dtype), data, dtype=dtype)
    assert_same(actual, trace(lambda x: x.sum(axis=-1), data, dtype=dtype))


def test_a_symbol_finds_out_the_length():
    data = mx.nd.array(uniform(2, 3, 4))
    out = total(mx.sym, mx.sym.var("data"), 0, "float32").bind(mx.cpu(), {"data": data}).forward()[0]
    np.testing.assert_allclose(out.asnumpy(), data.asnumpy().sum(-1), 1e-5, 1e-6)
