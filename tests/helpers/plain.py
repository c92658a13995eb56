"""What the tests of the blocks compare with: recurrences written out step by step, and everything a pass gives."""
import mxnet as mx
import numpy as np


def uniform(*shape, seed=0):
    """Random numbers in (-1, 1)."""
    return np.random.RandomState(seed).uniform(-1, 1, shape)


def initialized(block, *inputs, ctx=None, hybridize=False, call=None):
    """The block with random values in every parameter, biases too; ``inputs`` settle shapes that are unknown yet."""
    block.initialize(ctx=ctx or mx.cpu())
    if inputs:
        (call or block)(*(to_array(x, ctx=ctx) for x in inputs))
    for i, parameter in enumerate(block.collect_params().values()):
        parameter.set_data(mx.nd.array(uniform(*parameter.shape, seed=100 + i), dtype=parameter.dtype))
    if hybridize:
        block.hybridize()
    return block


def values(block):
    """Values of all of the block's parameters."""
    return [parameter.data().asnumpy() for parameter in block.collect_params().values()]


def to_array(array, dtype="float32", ctx=None):
    """Integers become int32, all else ``dtype``."""
    integer = np.issubdtype(np.asarray(array).dtype, np.integer)
    return mx.nd.array(array, dtype="int32" if integer else dtype, ctx=ctx or mx.cpu())


def flatten(out):
    """The arrays of a nested result, in order."""
    return [array for part in out for array in flatten(part)] if isinstance(out, (list, tuple)) else [out]


def trace(function, *arrays, block=None, dtype="float32", ctx=None):
    """All outputs of ``function``, then the gradients of all floating-point ``arrays``, then those of all of the
    block's parameters, for random head gradients."""
    inputs = [to_array(array, dtype, ctx) for array in arrays]
    for array in inputs:
        if array.dtype != np.int32:
            array.attach_grad()
    with mx.autograd.record():
        outputs = flatten(function(*inputs))
    heads = [to_array(uniform(*out.shape, seed=200 + i), dtype, ctx) for i, out in enumerate(outputs)]
    mx.autograd.backward(outputs, heads)
    grads = [array.grad for array in inputs if array.grad is not None]
    grads += [parameter.grad() for parameter in (block.collect_params().values() if block else ())]
    return [array.asnumpy() for array in outputs + grads]


def assert_same(actual, expected, rtol=1e-5, atol=1e-6):
    """Two results of `trace` agree array by array."""
    assert [a.shape for a in actual] == [e.shape for e in expected]
    for i, (a, e) in enumerate(zip(actual, expected)):
        np.testing.assert_allclose(a, e, rtol, atol, err_msg=f"array {i}")


def lstm(data, hidden, cell, flat):
    """One LSTM layer step by step, from its flat array: (T, N, C), (1, N, H), (1, N, H) to out, hidden, cell."""
    size, width = hidden.shape[-1], data.shape[-1]
    ends = np.cumsum([0, 4 * size * width, 4 * size * size, 4 * size, 4 * size])
    i2h, h2h, i2h_bias, h2h_bias = (flat[int(a):int(b)] for a, b in zip(ends, ends[1:]))
    i2h, h2h = i2h.reshape((4 * size, width)), h2h.reshape((4 * size, size))
    hidden, cell, outputs = hidden[0], cell[0], []
    for t in range(data.shape[0]):
        gates = mx.nd.dot(data[t], i2h.T) + mx.nd.dot(hidden, h2h.T) + (i2h_bias + h2h_bias).expand_dims(0)
        i, f, new, o = (gates[:, k * size:(k + 1) * size] for k in range(4))
        cell = f.sigmoid() * cell + i.sigmoid() * new.tanh()
        hidden = o.sigmoid() * cell.tanh()
        outputs.append(hidden)
    return mx.nd.stack(*outputs), hidden.expand_dims(0), cell.expand_dims(0)


def lstm_from_zeros(data, flat, size):
    """As `lstm`, from zero states, the outputs only."""
    zeros = mx.nd.zeros((1, data.shape[1], size), dtype=data.dtype)
    return lstm(data, zeros, zeros, flat)[0]


def affine(data, weight, bias):
    """(T, N, C) to (T, N, U), row by row."""
    return mx.nd.stack(*(mx.nd.dot(step, weight.T) + bias.expand_dims(0) for step in data))
