import mxnet as mx
from helpers.plain import assert_same, trace, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.nn.join import side_by_side

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
