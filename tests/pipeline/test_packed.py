"""What layers hand on, from one to the next and from stage to stage: arrays of every type, None, numbers, lists."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, random_values, set_values
from hypothesis import given, settings
from hypothesis import strategies as st
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan, Trainer
from mxmp.nn import Chain, Select
from mxmp.pipeline.packed import pack, pack_outputs

ROWS, SIZE = 6, 4
leaves = st.one_of(st.none(), st.integers(), st.floats(allow_nan=False), st.booleans(),
                   st.integers(0, 3).map(lambda i: ("array", i)))
items = st.lists(st.recursive(leaves, lambda inner: st.one_of(st.lists(inner, max_size=3),
                                                              st.lists(inner, max_size=3).map(tuple)), max_leaves=8))
NAMED = {i: mx.nd.array([i]) for i in range(4)}


def with_arrays(item):
    """An array in the place of each ("array", i)."""
    if isinstance(item, tuple) and len(item) == 2 and item[0] == "array":
        return NAMED[item[1]]
    return type(item)(map(with_arrays, item)) if isinstance(item, (list, tuple)) else item


@given(given_items=items.map(lambda each: tuple(with_arrays(item) for item in each)))
@settings(max_examples=50, deadline=None)
def test_items_are_the_same_after_they_were_taken_apart(given_items):
    assert str(pack(given_items, "").unpack()) == str(given_items)


class Dict(dict):
    """A user's own container."""


@pytest.mark.parametrize("item, name", [("abc", "str, 'abc'"), ({"a": 1}, "dict, {'a': 1}"), (Dict(), "Dict, {}"),
                                        (np.ones((2, 3)), r"ndarray, of shape \(2, 3\).*mx.nd.array\(x\) makes"),
                                        (mx.nd.zeros((2, 2)).tostype("csr"), r"CSRNDArray, of shape \(2, 2\)"),
                                        (object, "type"), ([["x" * 100]], "str, '" + "x" * 50)])
def test_what_blocks_do_not_take_is_refused_by_name(item, name):
    with pytest.raises(ValueError, match=f"the layer returned a {name}") as raised:
        pack((mx.nd.ones((1,)), item), "the layer returned")
    assert "\n" not in str(raised.value)


def test_outputs_without_an_array_are_refused():
    with pytest.raises(ValueError, match="Dense returned None, no array; let its forward method return one"):
        pack_outputs((None,), "Dense returned")


class Hands(gluon.Block):
    """Doubles an array and hands on something beside it, before or after."""

    def __init__(self, beside, first=False):
        super().__init__()
        self.beside, self.first = beside, first

    def forward(self, x):
        return (self.beside, 2 * x) if self.first else (2 * x, self.beside)


class Takes(gluon.Block):
    """Takes what `Hands` hands on."""

    def forward(self, *given):
        (x,) = [item for item in given if isinstance(item, mx.nd.NDArray)]
        (beside,) = [item for item in given if item is not x]
        if isinstance(beside, list):
            return x * beside[0] + beside[1][0].sum(axis=1, keepdims=True)
        return x if beside is None else x * beside


class HandsList(gluon.Block):
    """Hands on an array and a nested list of arrays that depend on it."""

    def forward(self, x):
        return 2 * x, [x.tanh(), (x * x, 3)]


def dense(size=SIZE):
    return gluon.nn.Dense(size, in_units=SIZE, flatten=False)


def plain_and_piped(layers, counts, data, label=None):
    """Losses and gradients of plain Gluon and of a pipeline, and of this the outputs."""
    plain, piped = Chain(), Chain()
    plain.add(*layers())
    piped.add(*layers())
    label = mx.nd.zeros((ROWS, SIZE)) if label is None else label
    plain.initialize()
    values = random_values(plain)
    set_values(plain, values)
    with autograd.record():
        total = gluon.loss.L2Loss()(plain(*data), label).sum()
    total.backward()
    with Pipeline(piped, Plan(counts, CONTEXTS[:len(counts)]), gluon.loss.L2Loss(), 3) as pipe:
        pipe.initialize()
        set_values(piped, values)
        loss = pipe.forward_backward(data, label)
        np.testing.assert_allclose(loss.asnumpy(), total.asnumpy(), 1e-5)
        assert_same(gradients(piped), gradients(plain))
        np.testing.assert_allclose(pipe(data).asnumpy(), plain(*data).asnumpy(), 1e-5, 1e-6)


BESIDE = {"None": None, "an int": 3, "a float": 2.5, "a bool": True, "a numpy number": np.float32(1.5)}
plans = pytest.mark.parametrize("counts", [(4,), (1, 3), (2, 2), (3, 1), (1, 1, 1, 1)], ids=str)


def numbers(*shape, seed=1):
    return mx.nd.array(np.random.RandomState(seed).randn(*shape))


@plans
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_none_and_numbers_go_on_to_the_next_layer_under_every_plan(beside, first, counts):
    plain_and_piped(lambda: [dense(), Hands(beside, first), Takes(), dense()], counts, (numbers(ROWS, SIZE),))


@plans
def test_lists_of_arrays_go_on_and_have_gradients_under_every_plan(counts):
    plain_and_piped(lambda: [dense(), HandsList(), Takes(), dense()], counts, (numbers(ROWS, SIZE),))


class Mask(gluon.HybridBlock):
    """An array times a mask of any type."""

    def hybrid_forward(self, F, x, mask):
        return F.broadcast_mul(x, F.cast(mask, "float32"))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("counts", [(3,), (1, 2), (2, 1)], ids=str)
def test_masks_of_every_type_go_through_beside_the_activations(dtype, first, counts):
    mask = mx.nd.array(np.random.RandomState(3).rand(ROWS, SIZE) > 0.5).astype(dtype)
    take, keep = ((1,), (0,)) if first else ((0,), (1,))
    data = (mask, numbers(ROWS, SIZE)) if first else (numbers(ROWS, SIZE), mask)
    plain_and_piped(lambda: [Select(dense(), take, keep), Select(dense(), (0,), (1,)), Mask()], counts, data)


def test_a_bool_array_may_be_all_that_a_stage_takes():
    bits = np.random.RandomState(3).rand(ROWS, SIZE) > 0.5
    layers = [gluon.nn.HybridLambda(lambda F, x: F.cast(x, "float32")), dense()]
    with Pipeline(layers, Plan((1, 1), CONTEXTS[:2]), None, 3) as pipe:
        pipe.initialize(mx.init.One())
        np.testing.assert_array_equal(pipe(mx.nd.array(bits, dtype="bool")).asnumpy(),
                                      np.repeat(bits.sum(axis=1, keepdims=True), SIZE, axis=1))


class Forgot(gluon.Block):
    """Forgets to return."""

    def forward(self, x):
        x * 2


@pytest.mark.parametrize("counts", [(3,), (1, 2), (2, 1)], ids=str)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("layer, said", [(Forgot, "Forgot returned None, no array"),
                                         (lambda: Hands("abc"), "Hands returned a str, 'abc'")])
def test_a_layer_that_returns_what_none_can_take_is_named_with_its_stage(layer, said, place, counts):
    layers = [dense(), dense()]
    layers.insert(place, layer())
    stage = next(i for i in range(len(counts)) if place < sum(counts[:i + 1]))
    with Pipeline(layers, Plan(counts, CONTEXTS[:len(counts)]), gluon.loss.L2Loss(), 2) as pipe:
        pipe.initialize()
        with pytest.raises(ValueError, match=rf"{said}.*\(stage {stage} on cpu\({stage}\).*layer '{place}'\)"):
            pipe.forward_backward(numbers(ROWS, SIZE), numbers(ROWS, SIZE))


@pytest.mark.parametrize("data", [np.ones((ROWS, SIZE)), [[1.0] * SIZE] * ROWS, "text", {"x": 1}, None, 3],
                         ids=lambda data: type(data).__name__)
def test_data_without_arrays_of_mxnets_are_refused(data):
    with Pipeline([dense()], Plan((1,), CONTEXTS[:1]), gluon.loss.L2Loss(), 2) as pipe:
        pipe.initialize()
        with pytest.raises(ValueError, match="the pipeline's data hold"):
            pipe.forward_backward(data, numbers(ROWS, SIZE))
        assert np.isfinite(pipe.forward_backward(numbers(ROWS, SIZE), numbers(ROWS, SIZE)).asscalar())


def test_a_label_that_is_not_given_is_none_for_the_loss():
    out, label = numbers(ROWS, SIZE), numbers(ROWS, SIZE, seed=2)
    with Pipeline([gluon.nn.HybridSequential()], Plan((1,), CONTEXTS[:1]), gluon.loss.L2Loss(), 2) as pipe:
        np.testing.assert_allclose(pipe.forward_backward(out, (label, None)).asnumpy(),
                                   gluon.loss.L2Loss()(out, label, None).sum().asnumpy(), 1e-5)


@pytest.mark.parametrize("counts", [(2,), (1, 1)], ids=str)
def test_mxnets_numpy_arrays_give_what_plain_gluon_gives_with_them(counts):
    with mx.util.np_shape(True), mx.util.np_array(True):
        def build():
            net = gluon.nn.HybridSequential()
            net.add(gluon.nn.Dense(5, in_units=SIZE, activation="tanh"), gluon.nn.Dense(3, in_units=5))
            net.initialize(mx.init.Constant(0.1))
            return net

        data = mx.np.array(np.random.RandomState(0).randn(ROWS, SIZE), dtype="float32")
        label = mx.np.array(np.random.RandomState(1).randn(ROWS, 3), dtype="float32")
        one, other = build(), data.copy()
        data.attach_grad()
        other.attach_grad()
        with autograd.record():
            total = gluon.loss.L2Loss()(one(other), label).sum()
        total.backward()
        trainer = gluon.Trainer(one.collect_params(), "sgd", {"learning_rate": 0.1})
        net = build()
        with Pipeline(net, Plan(counts, CONTEXTS[:len(counts)]), gluon.loss.L2Loss(), 3) as pipe:
            loss = pipe.forward_backward(data, label)
            np.testing.assert_allclose(loss.asnumpy(), [total.item()], 1e-5)
            assert_same(gradients(net), gradients(one))
            np.testing.assert_allclose(data.grad.asnumpy(), other.grad.asnumpy(), 1e-5, 1e-7)
            trainer.step(ROWS)
            Trainer(pipe, "sgd", {"learning_rate": 0.1}).step(ROWS)
            out = pipe(data)
            assert isinstance(out, mx.np.ndarray)
            np.testing.assert_allclose(out.asnumpy(), one(other).asnumpy(), 1e-5, 1e-6)
