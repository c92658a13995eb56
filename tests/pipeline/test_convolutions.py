"""Layers whose outputs have a layout of oneDNN's own: a view of such an array cannot be read."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, set_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.pipeline.dependency import Dependency
from mxmp.pipeline.errors import StageProbes
from mxmp.schedule import Unit

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()


def network():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(16, 3, activation="relu", in_channels=16), gluon.nn.MaxPool2D(),
            gluon.nn.Conv2D(16, 3, in_channels=16), gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(10, in_units=16))
    return net


def batch():
    random = np.random.RandomState(0)
    return mx.nd.array(random.normal(size=(8, 16, 12, 12))), mx.nd.array(np.arange(8) % 10)


@pytest.mark.parametrize("counts", [(5,), (1, 4), (2, 3), (1, 1, 3), (1, 1, 1, 2)])
@pytest.mark.parametrize("microbatches", [1, 3])
def test_a_network_of_convolutions_is_that_of_plain_gluon(counts, microbatches):
    plain, (images, classes) = network(), batch()
    plain.initialize(mx.init.Xavier())
    with autograd.record():
        total = LOSS(plain(images), classes).sum()
    total.backward()
    net = network()
    with Pipeline(net, Plan(counts, CONTEXTS[:len(counts)]), LOSS, microbatches) as pipe:
        pipe.initialize()
        set_values(net, {name: p.data().asnumpy() for name, p in plain._collect_params_with_prefix().items()})
        for _ in range(3):
            loss = pipe.forward_backward(*batch())
            assert float(loss.asscalar()) == pytest.approx(float(total.asscalar()), rel=1e-5)
            assert_same(gradients(net), gradients(plain), rtol=1e-4, atol=1e-5)


def test_units_of_convolutions_wait_for_each_other_and_keep_their_values():
    layer = gluon.nn.Conv2D(16, 3, in_channels=16)
    layer.initialize(mx.init.Xavier())
    layer.hybridize()
    expected = layer(batch()[0]).asnumpy()
    dependency = Dependency(CONTEXTS[0])
    probes = StageProbes("stage 0", CONTEXTS[0], dependency, 4)
    for m in range(2):
        out = layer(batch()[0])
        given = out.copyto(CONTEXTS[1])
        dependency.enter([out, given])
        probes.add(Unit("F", 0, m), "layer", [out])
        dependency.leave([out, given])
        np.testing.assert_array_equal(out.asnumpy(), expected)
        np.testing.assert_array_equal(given.asnumpy(), expected)
