"""Layers whose operators are written in Python, and one that fails."""
import mxnet as mx
from mxnet import autograd, gluon


def over_rows(array):
    """The sum over all axes but the last, (1, C)."""
    return array.sum(axis=-1, exclude=True).reshape((1, -1))


class Scaled(autograd.Function):
    """A product, with a backward pass in Python."""

    def forward(self, x, weight):
        self.save_for_backward(x, weight)
        return x * weight

    def backward(self, grad):
        x, weight = self.saved_tensors
        return grad * weight, over_rows(grad * x)


class Scale(gluon.Block):
    """A layer whose weight goes to an `autograd.Function`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(1, 3), init=mx.init.Uniform(1))

    def forward(self, x):
        return Scaled()(x, self.weight.data(x.context))


class WritingOp(mx.operator.CustomOp):
    """A product whose backward pass writes, whatever it is told."""

    def forward(self, is_train, req, in_data, out_data, aux):
        self.assign(out_data[0], req[0], in_data[0] * in_data[1])

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        in_grad[0][:] = out_grad[0] * in_data[1]
        in_grad[1][:] = over_rows(out_grad[0] * in_data[0])


@mx.operator.register("mxmp_test_writing")
class WritingProp(mx.operator.CustomOpProp):
    """MXNet's description of `WritingOp`."""

    def list_arguments(self):
        return ["data", "weight"]

    def infer_shape(self, shapes):
        return shapes, [shapes[0]], []

    def create_operator(self, ctx, shapes, dtypes):
        return WritingOp()


class Writing(gluon.HybridBlock):
    """`WritingOp` as a layer, which is hybridized."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(1, 3), init=mx.init.Uniform(1))

    def hybrid_forward(self, F, x, weight):
        return F.Custom(x, weight, op_type="mxmp_test_writing")


class Picky(gluon.Block):
    """Raises in its n-th call from now."""

    countdown = 0

    def forward(self, x):
        self.countdown -= 1
        if self.countdown == 0:
            raise KeyError("this layer is broken")
        return x
