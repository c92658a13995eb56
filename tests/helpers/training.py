"""Training steps by gluon.Trainer over plain Gluon on one context, and by mxmp's over a pipeline, to compare."""
import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

from helpers.stacks import CONTEXTS, random_values
from mxmp import Pipeline, Plan

SIZE, ROWS = 4, 6


class Shift(gluon.HybridBlock):
    """Adds a Constant."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.by = self.params.get_constant("by", mx.nd.arange(SIZE).reshape((1, SIZE)))

    def hybrid_forward(self, F, x, by):
        return F.broadcast_add(x, by)


class Scale(gluon.HybridBlock):
    """Multiplies by a parameter; unlike Dense in float16 on CPUs, too."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(1, SIZE))

    def hybrid_forward(self, F, x, weight):
        return F.broadcast_mul(x, weight)


def dense():
    return gluon.nn.Dense(SIZE, in_units=SIZE)


def network(*kinds, dtype="float32"):
    """A Sequential of those kinds of layers with values that are the same in every call, and so are all names."""
    net = gluon.nn.Sequential(prefix="net_")
    with net.name_scope():
        net.add(*[kind() for kind in kinds])
    net.cast(dtype)
    net.initialize()
    values = random_values(net)
    for name, parameter in net._collect_params_with_prefix().items():
        if parameter.grad_req != "null":
            parameter.set_data(mx.nd.array(values[name]))
    return net


def batch(step, dtype="float32"):
    rng = np.random.RandomState(step)
    return [mx.nd.array(rng.randn(ROWS, SIZE), dtype=dtype) for _ in range(2)]


def plain_step(net, trainer, step, dtype="float32"):
    x, y = batch(step, dtype)
    with autograd.record():
        total = gluon.loss.L2Loss()(net(x), y).sum()
    total.backward()
    return trainer.step(ROWS)


def pipe_step(pipe, trainer, step, dtype="float32"):
    pipe.forward_backward(*batch(step, dtype))
    return trainer.step(ROWS)


def pipeline(net, counts, weight=1.0):
    return Pipeline(net, Plan(counts, CONTEXTS[:len(counts)]), gluon.loss.L2Loss(weight))


def freeze(block, grad_req="null"):
    block.collect_params().setattr("grad_req", grad_req)


def values_of(net):
    return {n: p.list_data()[0].asnumpy() for n, p in net._collect_params_with_prefix().items()}
