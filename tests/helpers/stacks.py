"""Small chains for the pipeline's tests, and plain Gluon on one context to compare with."""
import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.nn import LSTMLayer, TimeFirst

CONTEXTS = [mx.cpu(i) for i in range(4)]


def lstm_chain(layers=3, size=5):
    """Plain Gluon blocks around LSTM layers; batch first at both ends."""
    chain = gluon.nn.Sequential()
    chain.add(TimeFirst(), *[LSTMLayer(size, input_size=size) for _ in range(layers)], TimeFirst(),
              gluon.nn.Dense(3, flatten=False, in_units=size))
    return chain


def random_values(chain, seed=0):
    """One value per parameter, by its places in the chain."""
    rng = np.random.RandomState(seed)
    drawn = {name: rng.uniform(-0.5, 0.5, p.shape).astype("float32") for name, p in chain.collect_params().items()}
    return {name: drawn[p.name] for name, p in chain._collect_params_with_prefix().items()}


def set_values(chain, values):
    for name, parameter in chain._collect_params_with_prefix().items():
        parameter.set_data(mx.nd.array(values[name]))


def gradients(chain):
    """Every parameter's gradient as numpy; the sum of its copies where it has several."""
    return {name: sum(grad.asnumpy() for grad in p.list_grad())
            for name, p in chain._collect_params_with_prefix().items()}


def plain(chain, values, loss, data, label):
    """Loss and gradients of plain Gluon: one context, the whole batch, one recorded graph."""
    chain.initialize(ctx=CONTEXTS[0])
    set_values(chain, values)
    with autograd.record():
        out = chain(*data)
        out = out if isinstance(out, (tuple, list)) else (out,)
        total = loss(*out, *label).sum()
    total.backward()
    return total.asnumpy(), gradients(chain)


def pipelined(chain, values, loss, counts, microbatches=1, contexts=CONTEXTS, **options):
    """A pipeline over as many contexts as there are counts, with the given values."""
    pipe = Pipeline(chain, Plan(counts, contexts[:len(counts)]), loss, microbatches, **options)
    pipe.initialize()
    set_values(chain, values)
    return pipe


def assert_same(actual, expected, rtol=1e-5, atol=1e-6):
    """Every array, by name."""
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol, atol, err_msg=name)
