import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, trace, uniform

from mxmp.nn.total import total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_is_the_sum_over_the_last_axis_with_its_gradient(dtype):
    data = uniform(2, 3, 4)
    actual = trace(lambda x: total(mx.nd, x, 4, dtype), data, dtype=dtype)
    assert_same(actual, trace(lambda x: x.sum(axis=-1), data, dtype=dtype))


def test_a_symbol_finds_out_the_length():
    data = mx.nd.array(uniform(2, 3, 4))
    out = total(mx.sym, mx.sym.var("data"), 0, "float32").bind(mx.cpu(), {"data": data}).forward()[0]
    np.testing.assert_allclose(out.asnumpy(), data.asnumpy().sum(-1), 1e-5, 1e-6)
