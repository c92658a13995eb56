"""Arrays that are there only once everything that uses them has been issued."""
import threading
from contextlib import contextmanager

import mxnet as mx

SECONDS = 60  # a test that would hang goes on after these, and fails


class Hold(mx.operator.CustomOp):
    """Hands its input on once it is released."""

    released = threading.Event()

    def forward(self, is_train, req, in_data, out_data, aux):
        self.released.wait(SECONDS)
        self.assign(out_data[0], req[0], in_data[0])


@mx.operator.register("mxmp_test_hold")
class HoldProp(mx.operator.CustomOpProp):
    """MXNet's description of `Hold`."""

    def create_operator(self, ctx, shapes, dtypes):
        return Hold()


@contextmanager
def late(*arrays):
    """Copies that are there only after the ``with`` block, which ends once all that was issued in it has run."""
    Hold.released.clear()
    try:
        yield [mx.nd.Custom(array, op_type="mxmp_test_hold") for array in arrays]
    finally:
        Hold.released.set()
        mx.nd.waitall()
