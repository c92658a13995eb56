"""Gradients whatever users do to parameters between steps: freeze, thaw, add up, move, replace, train elsewhere."""
import mxnet as mx
import numpy as np
import pytest
from helpers.operators import Scale, Writing
from helpers.stacks import CONTEXTS, assert_same, gradients, pipelined, random_values, set_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan, Trainer
from mxmp.nn import Chain, LSTMLayer

ROWS = 8
LOSS = gluon.loss.L2Loss(batch_axis=1)
microbatches = pytest.mark.parametrize("parts", [1, 4])


def build():
    chain = Chain()
    chain.add(LSTMLayer(4, input_size=4), gluon.nn.Dense(4, in_units=4, flatten=False),
              gluon.nn.Dense(3, in_units=4, flatten=False))
    return chain


VALUES = random_values(build())


def batch(seed=0):
    rng = np.random.RandomState(seed)
    return mx.nd.array(rng.randn(5, ROWS, 4)), mx.nd.array(rng.randn(5, ROWS, 3))


def plain_step(chain, data, label):
    with autograd.record():
        total = LOSS(chain(data), label).sum()
    total.backward()


def plain(*batches, **reqs):
    """All gradients after plain Gluon's steps, with the grad_req of some layers."""
    chain = build()
    chain.initialize()
    set_values(chain, VALUES)
    for layer, grad_req in reqs.items():
        chain[int(layer[1:])].collect_params().setattr("grad_req", grad_req)
    for data, label in batches:
        plain_step(chain, data, label)
    return gradients(chain)


def piped(parts, counts=(2, 1)):
    return pipelined(build(), VALUES, LOSS, counts, parts, layout="TNC")


@microbatches
@pytest.mark.parametrize("grad_req", ["write", "add"])
def test_a_layer_that_is_thawed_gets_the_whole_batchs_gradient(parts, grad_req):
    with piped(parts) as pipe:
        trainer = Trainer(pipe, "sgd", {"learning_rate": 0.0})
        pipe.chain[0].collect_params().setattr("grad_req", "null")
        pipe.forward_backward(*batch())
        trainer.step(ROWS)
        pipe.chain[0].collect_params().setattr("grad_req", grad_req)
        pipe.forward_backward(*batch())
        assert_same(gradients(pipe.chain), plain(batch()))


@microbatches
def test_a_grad_req_set_after_the_pipeline_was_made_changes_nothing(parts):
    with piped(parts) as pipe:
        pipe.collect_params().setattr("grad_req", "write")
        pipe.forward_backward(*batch())
        assert_same(gradients(pipe.chain), plain(batch()))


@microbatches
def test_plain_gluon_may_train_between_two_steps(parts):
    with piped(parts, (3,)) as pipe:
        for _ in range(2):
            pipe.forward_backward(*batch())
            assert_same(gradients(pipe.chain), plain(batch()))
            for _ in range(2):  # nothing adds up
                plain_step(pipe.chain, *batch(1))
                assert_same(gradients(pipe.chain), plain(batch(1)))


@microbatches
@pytest.mark.parametrize("counts", [(3,), (1, 2)])
def test_gradients_that_are_to_be_added_add_up_over_steps_as_gluons_do(parts, counts):
    with piped(parts, counts) as pipe:
        pipe.chain[1].collect_params().setattr("grad_req", "add")
        for seed in range(3):
            pipe.forward_backward(*batch(seed))
        assert_same(gradients(pipe.chain), plain(*map(batch, range(3)), _1="add"))
        for parameter in pipe.chain[1].collect_params().values():
            parameter.zero_grad()
        pipe.forward_backward(*batch(3))
        assert_same(gradients(pipe.chain), plain(batch(3)))


@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
def test_a_step_leaves_grad_req_and_gradients_arrays_as_they_were(grad_req):
    with piped(4) as pipe:
        weight = pipe.chain[1].weight
        weight.grad_req = grad_req
        before = None if grad_req == "null" else weight.grad()
        pipe.forward_backward(*batch())
        assert weight.grad_req == grad_req
        assert grad_req == "null" or weight.grad() is before


def test_a_gradient_is_fresh_for_gluon_only_where_the_step_reached_it():
    class Half(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            with self.name_scope():
                self.used = self.params.get("used", shape=(1, 4))
                self.unused = self.params.get("unused", shape=(1, 4))

        def hybrid_forward(self, F, x, used, unused):
            return F.broadcast_mul(x, used)

    half = Half()
    with Pipeline([half], Plan((1,), CONTEXTS[:1]), gluon.loss.L2Loss(), 2) as pipe:
        pipe.initialize()
        for _ in range(2):
            pipe.forward_backward(mx.nd.ones((4, 4)), mx.nd.zeros((4, 4)))
            assert [p.data()._fresh_grad for p in (half.used, half.unused)] == [1, 0]


def test_a_step_that_fails_leaves_grad_req_as_it_was():
    with piped(4) as pipe:
        with pytest.raises(mx.MXNetError):
            pipe.forward_backward(batch()[0], mx.nd.zeros((5, ROWS, 7)))
        assert {p.grad_req for p in pipe.collect_params().values()} == {"write"}
        pipe.forward_backward(*batch())
        assert_same(gradients(pipe.chain), plain(batch()))


@microbatches
def test_parameters_without_a_shape_yet_add_up_from_the_first_step(parts):
    chain = Chain()
    chain.add(LSTMLayer(4), gluon.nn.Dense(4, flatten=False), gluon.nn.Dense(3, flatten=False))
    with Pipeline(chain, Plan((1, 2), CONTEXTS[:2]), LOSS, parts, layout="TNC") as pipe:
        pipe.initialize(mx.init.Constant(0.1))
        pipe.forward_backward(*batch())
        other = build()
        other.initialize()
        set_values(other, {name: p.data(p.list_ctx()[0]).asnumpy()
                           for name, p in chain._collect_params_with_prefix().items()})
        plain_step(other, *batch())
        assert_same(gradients(chain), gradients(other))


@microbatches
def test_parameters_that_were_moved_elsewhere_come_back(parts):
    with piped(parts) as pipe:
        for parameter in pipe.collect_params().values():
            parameter.reset_ctx(CONTEXTS[3])
        pipe.forward_backward(*batch())
        assert_same(gradients(pipe.chain), plain(batch()))
        assert [p.list_ctx() for p in pipe.collect_params().values()] == list(pipe.parameter_contexts.values())
        for parameter in pipe.collect_params().values():
            parameter.reset_ctx(CONTEXTS[3])
        np.testing.assert_allclose(pipe(batch()[0]).asnumpy(), pipe.chain[2](pipe.chain[1](pipe.chain[0](
            batch()[0])).as_in_context(CONTEXTS[1])).asnumpy(), 1e-5, 1e-6)


@microbatches
def test_a_parameter_put_in_anothers_place_is_the_one_that_gets_the_gradient(parts):
    with piped(parts) as pipe:
        layer = pipe.chain[1]
        weight = gluon.Parameter(layer.weight.name, shape=(4, 4))
        weight.initialize(ctx=CONTEXTS[3])
        weight.set_data(mx.nd.array(VALUES["1.weight"]))
        pipe.forward_backward(batch()[0], mx.nd.zeros((5, ROWS, 3)))
        # as gluonnlp puts a weight that is dropped in another's place
        layer.params._params[layer.weight.name] = layer._reg_params["weight"] = weight
        object.__setattr__(layer, "weight", weight)
        pipe.forward_backward(*batch())
        assert_same(gradients(pipe.chain), plain(batch()))


def test_a_chain_that_has_got_another_layer_since_is_refused():
    with piped(2) as pipe:
        pipe.chain.add(gluon.nn.Dense(2))
        with pytest.raises(RuntimeError, match="other layers than when this pipeline was made; make a new one"):
            pipe(batch()[0])


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("counts", [(4,), (2, 2), (1, 2, 1)])
@pytest.mark.parametrize("kind", [Scale, Writing])
def test_operators_in_python_that_cannot_add_up_their_own_weights_gradients_get_plain_gluons(parts, counts, kind):
    def layers():
        return [gluon.nn.Dense(3, in_units=3), kind(), kind(), gluon.nn.Dense(3, in_units=3)]

    def chain_of_layers():
        chain = Chain()
        chain.add(*layers())
        return chain

    rng = np.random.RandomState(0)
    data, label = mx.nd.array(rng.randn(ROWS, 3)), mx.nd.array(rng.randn(ROWS, 3))
    one, values = chain_of_layers(), random_values(chain_of_layers())
    one.initialize()
    set_values(one, values)
    with autograd.record():
        total = gluon.loss.L2Loss()(one(data), label).sum()
    total.backward()
    with pipelined(chain_of_layers(), values, gluon.loss.L2Loss(), counts, parts) as pipe:
        trainer = Trainer(pipe, "sgd", {"learning_rate": 0.0})
        for _ in range(2):
            pipe.forward_backward(data, label)
            mx.nd.waitall()  # an autograd.Function that has saved a weight waits for ever behind its update, in MXNet
            trainer.step(ROWS)
            assert_same(gradients(pipe.chain), gradients(one))
            assert all(gradient.any() for gradient in gradients(pipe.chain).values())
