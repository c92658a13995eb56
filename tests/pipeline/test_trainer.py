"""Trainer against one gluon.Trainer over plain Gluon on one context: parameters after several Adam steps."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, lstm_chain, pipelined, random_values, set_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan, Trainer
from mxmp.nn import StackedLSTM

ADAM = {"learning_rate": 0.01}


def batch(seed, rows=8):
    rng = np.random.RandomState(seed)
    return mx.nd.array(rng.randn(rows, 4, 5)), mx.nd.array(10 * rng.randn(rows, 4, 3))


def values_of(chain):
    return {n: p.data(p.list_ctx()[0]).asnumpy() for n, p in chain._collect_params_with_prefix().items()}


def plain_steps(values, steps, clip_norm):
    chain, loss = lstm_chain(), gluon.loss.L2Loss()
    chain.initialize()
    set_values(chain, values)
    parameters = chain.collect_params()
    trainer, norms = gluon.Trainer(parameters, "adam", dict(ADAM)), []
    for step in range(steps):
        x, y = batch(step)
        with autograd.record():
            total = loss(chain(x), y).sum() / len(x)
        total.backward()
        grads = [p.grad() for p in parameters.values()]
        norms.append(np.sqrt(sum(float((g ** 2).sum().asscalar()) for g in grads)))
        if clip_norm:
            gluon.utils.clip_global_norm(grads, clip_norm)
        trainer.step(1)
    return values_of(chain), norms


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("counts", [(6,), (3, 3), (2, 3, 1)])
def test_parameters_after_adam_steps_equal_plain_gluons(counts, clip_norm):
    values = random_values(lstm_chain())
    expected, norms = plain_steps(values, 5, clip_norm)
    chain = lstm_chain()
    with pipelined(chain, values, gluon.loss.L2Loss(), counts, 2) as pipe:
        trainer = Trainer(pipe, "adam", ADAM, clip_norm=clip_norm)
        for step in range(5):
            x, y = batch(step)
            pipe.forward_backward(x, y)
            norm = trainer.step(len(x))
            if clip_norm:
                np.testing.assert_allclose(norm.asscalar(), norms[step], 1e-4)
        # Adam divides by the root of a mean square: where a gradient is nearly 0 its rounding is amplified
        assert_same(values_of(chain), expected, rtol=1e-4, atol=1e-5)


def shared_chain():
    chain = gluon.nn.Sequential()
    first = gluon.nn.Dense(5, flatten=False, in_units=5)
    chain.add(first, gluon.nn.Dense(5, flatten=False, in_units=5, params=first.params))
    return chain


def test_copies_of_a_shared_parameter_stay_equal_and_follow_the_single_one():
    values, results = random_values(shared_chain()), []
    for counts in ((2,), (1, 1)):
        chain = shared_chain()
        with pipelined(chain, values, gluon.loss.L2Loss(), counts, 2) as pipe:
            trainer = Trainer(pipe, "adam", ADAM, clip_norm=0.1)
            for step in range(3):
                x = batch(step)[0]
                pipe.forward_backward(x, mx.nd.ones(x.shape))
                norm = trainer.step(len(x)).asscalar()
            copies = [copy.asnumpy() for copy in chain[0].weight.list_data()]
            assert len(copies) == len(counts)
            np.testing.assert_array_equal(copies[0], copies[-1])
            results.append({**values_of(chain), "norm": norm})
    assert_same(results[1], results[0], rtol=1e-4, atol=1e-5)


def test_a_pipeline_that_is_frozen_as_a_whole_has_the_norm_0():
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 2) as pipe:
        chain.collect_params().setattr("grad_req", "null")
        before = values_of(chain)
        norm = Trainer(pipe, "adam", ADAM, clip_norm=0.5).step(8)
        assert norm.asscalar() == 0 and norm.shape == (1,) and norm.context == pipe.stages[-1].context
        assert_same(values_of(chain), before, rtol=0, atol=0)


def test_a_frozen_stage_is_left_as_it_is():
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 2) as pipe:
        for parameter in pipe.stages[0].contexts:
            parameter.grad_req = "null"
        before = values_of(chain)
        trainer = Trainer(pipe, "adam", ADAM, clip_norm=0.5)
        pipe.forward_backward(*batch(0))
        trainer.step(8)
        after = values_of(chain)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if name[0] in "345"}


def test_a_clip_norm_that_is_not_positive_is_an_error():
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), None, (6,), 1) as pipe, pytest.raises(ValueError, match="got 0"):
        Trainer(pipe, "sgd", clip_norm=0)


@pytest.mark.parametrize("dtypes", [("float64", "float64"), ("float32", "float64")])
def test_gradients_of_other_types_are_clipped_by_the_norm_of_all(dtypes):
    class Cast(gluon.HybridBlock):
        """To the second layer's type."""

        def hybrid_forward(self, F, x):
            return F.cast(x, dtypes[1])

    layers = [gluon.nn.Dense(4, in_units=5, dtype=dtypes[0]), Cast(), gluon.nn.Dense(3, in_units=4, dtype=dtypes[1])]
    with Pipeline(layers, Plan((2, 1), CONTEXTS[:2]), gluon.loss.L2Loss(), 2) as pipe:
        pipe.initialize(mx.init.Uniform(1))
        trainer = Trainer(pipe, "sgd", {"learning_rate": 1.0}, clip_norm=0.1)
        x, y = (array[:, 0, :].astype(dtype) for array, dtype in zip(batch(0), dtypes))
        pipe.forward_backward(x, y)
        grads = {p: p.list_grad()[0].asnumpy() / 8 for p in pipe.parameter_contexts}
        before = {p: p.list_data()[0].asnumpy() for p in pipe.parameter_contexts}
        expected = np.sqrt(sum((grad ** 2).sum() for grad in grads.values()))
        np.testing.assert_allclose(trainer.step(8).asscalar(), expected, 1e-5)
        for p in pipe.parameter_contexts:
            np.testing.assert_allclose(p.list_data()[0].asnumpy(), before[p] - grads[p] * 0.1 / expected, 1e-4, 1e-6)


@pytest.mark.parametrize("rescale", [0.25, -0.25])
def test_the_norm_is_that_of_what_the_optimizer_gets_and_so_is_the_clipping(rescale):
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 2) as pipe:
        trainer = Trainer(pipe, "sgd", {"learning_rate": 1.0, "rescale_grad": rescale}, clip_norm=0.1)
        pipe.forward_backward(*batch(0))
        grads = {name: p.list_grad()[0].asnumpy() * rescale / 8
                 for name, p in chain._collect_params_with_prefix().items()}
        before, norm = values_of(chain), np.sqrt(sum((grad ** 2).sum() for grad in grads.values()))
        np.testing.assert_allclose(trainer.step(8).asscalar(), norm, 1e-5)
        assert norm > 0.1
        assert_same(values_of(chain), {name: before[name] - grads[name] * 0.1 / norm for name in grads}, atol=1e-5)


def test_each_stage_has_the_optimizer_state_of_its_own_layers_and_no_other():
    chain = shared_chain()
    chain.add(*lstm_chain(1))
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (1, 3, 2), 2) as pipe:
        trainer = Trainer(pipe, "adam", ADAM)
        pipe.forward_backward(*batch(0))
        trainer.step(8)
        assert len(trainer._params) == len(trainer._updaters[0].states) and len(trainer._updaters) == 1
        for i, parameter in enumerate(trainer._params):
            for array in trainer._updaters[0].states[i]:
                assert array.context == parameter.list_ctx()[0] and array.shape == parameter.shape


def test_parameters_without_shapes_get_their_states_after_the_first_input(tmp_path):
    results = []
    for known in (5, 0):
        layers = [gluon.nn.Dense(4, in_units=known, prefix="a_"), gluon.nn.Dense(3, in_units=known and 4, prefix="b_")]
        with Pipeline(layers, Plan((1, 1), CONTEXTS[:2]), gluon.loss.L2Loss(), 2) as pipe:
            pipe.initialize(mx.init.One())
            trainer = Trainer(pipe, "adam", ADAM, clip_norm=1.0)
            trainer.save_states(str(tmp_path / "states"))
            trainer.load_states(str(tmp_path / "states"))
            for step in range(2):
                x, y = batch(step)
                pipe.forward_backward(x[:, 0, :], y[:, 0, :])
                trainer.step(8)
            results.append({p.name: p.data().asnumpy() for p in pipe.parameter_contexts})
    assert_same(*results, rtol=0, atol=0)


def stacked(contexts):
    net = gluon.nn.Sequential(prefix="net_")
    with net.name_scope():
        net.add(StackedLSTM(5, 2, contexts=contexts, input_size=5), gluon.nn.Dense(3, flatten=False, in_units=5))
    net.initialize(ctx=contexts[-1])
    set_values(net, random_values(net))
    return net


def test_a_block_with_parameters_on_several_contexts_is_updated_as_gluon_updates_it_on_one(tmp_path):
    results, path = [], str(tmp_path / "states")
    for contexts, kind in ((CONTEXTS[:1], gluon.Trainer), (CONTEXTS[:2], Trainer)):
        net = stacked(contexts)
        for step in range(3):
            trainer = kind(net.collect_params() if kind is gluon.Trainer else net, "adam", ADAM)
            if step:
                trainer.load_states(path)
            x, y = (array.as_in_context(contexts[-1]) for array in batch(step))
            with autograd.record():
                total = gluon.loss.L2Loss()(net(x), y).sum()
            total.backward()
            trainer.step(8)
            trainer.save_states(path)
        results.append(values_of(net))
    assert_same(results[1], results[0], rtol=1e-4, atol=1e-5)


def test_gluons_trainer_says_what_to_use_for_a_stack_on_several_contexts():
    with pytest.raises(ValueError, match="dense0_bias is on .cpu.1.. and .*l0_h2h_bias on .cpu.0..; use mxmp.Trainer"):
        gluon.Trainer(stacked(CONTEXTS[:2]).collect_params(), "adam")


def test_a_stack_on_several_contexts_inside_a_pipeline_moves_to_its_stages():
    results = []
    for counts in ((2,), (1, 1)):
        net = stacked(CONTEXTS[:2])
        with Pipeline(net, Plan(counts, CONTEXTS[:len(counts)]), gluon.loss.L2Loss(batch_axis=1), layout="TNC") as pipe:
            trainer = Trainer(pipe, "adam", ADAM, clip_norm=0.1)
            pipe.forward_backward(*batch(0))
            trainer.step(4)
            results.append(values_of(net))
    assert_same(*results, rtol=1e-4, atol=1e-5)
