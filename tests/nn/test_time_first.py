"""Exchanging batch and time."""
import mxnet as mx
import numpy as np

from mxmp.nn import TimeFirst


def test_twice_is_the_array_again_and_once_is_its_transpose():
    data = np.random.RandomState(0).rand(2, 3, 4).astype("float32")
    block = TimeFirst()
    block.hybridize()
    once = block(mx.nd.array(data))
    np.testing.assert_array_equal(once.asnumpy(), data.transpose(1, 0, 2))
    np.testing.assert_array_equal(block(once).asnumpy(), data)
