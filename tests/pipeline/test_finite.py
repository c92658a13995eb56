"""Updates that are skipped because numbers are not finite: bit by bit, with every optimizer, on every plan."""
import math

import gluonnlp  # noqa: F401  (it has an optimizer, too)
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same
from helpers.training import ROWS, Scale, batch, dense, network, pipeline, plain_step, values_of
from mxnet import gluon

from mxmp import Pipeline, Plan, Trainer
from mxmp.pipeline.finite import arrays_of

RATE = {"learning_rate": 0.05}
KNOWN = sorted(set(mx.optimizer.Optimizer.opt_registry) - {"groupadagrad"})  # that one needs matrices only
MORE = [("sgd", {"momentum": 0.9}), ("lars", {"momentum": 0.9}), ("rmsprop", {"centered": True}),
        ("lbsgd", {"momentum": 0.9, "batch_scale": 1})]
HALF = [("sgd", {"momentum": 0.9}), ("nag", {"momentum": 0.9}), ("adam", {"epsilon": 1e-3}), ("lamb", {})]
BAD = [math.nan, math.inf, -math.inf]


def everything(net, trainer):
    """All parameters and states by name, as bytes."""
    states = {f"{i}.{j}": array.asnumpy() for i, each in trainer._updaters[0].states.items()
              for j, array in enumerate(arrays_of(each))}
    return {name: array.tobytes() for name, array in {**values_of(net), **states}.items()}


def steps(net, pipe, trainer, bad=(), dtype="float32", value=math.nan):
    """Four steps; in those that are bad one number of one gradient is the ``value``, and nothing may change."""
    for step in range(4):
        pipe.forward_backward(*batch(step, dtype))
        if step in bad:
            mx.nd.waitall()
            net[1].weight.list_grad()[0][0, 1] = value
        before = everything(net, trainer)
        trainer.step(ROWS)
        if step in bad:
            after = everything(net, trainer)
            assert {name: after[name] for name in before} == before  # the first update makes states
        else:
            assert everything(net, trainer) != before


@pytest.mark.parametrize("optimizer, options", [*((name, {}) for name in KNOWN), *MORE])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_a_bad_step_changes_no_bit_of_parameters_and_states(optimizer, options, clip_norm):
    for number, plan in enumerate(((3,), (1, 1, 1))):
        net = network(dense, dense, dense)
        with pipeline(net, plan) as pipe:
            trainer = Trainer(pipe, optimizer, {**RATE, **options}, clip_norm=clip_norm, skip_nonfinite=True)
            steps(net, pipe, trainer, bad=(0, 2), value=BAD[number])
            assert trainer.skipped.asnumpy().tolist() == [2, 0]


@pytest.mark.parametrize("optimizer, options", HALF)
def test_a_bad_step_changes_no_bit_of_float16_and_its_float32_copies(optimizer, options):
    net = network(*(Scale,) * 3, dtype="float16")
    with pipeline(net, (1, 2)) as pipe:
        trainer = Trainer(pipe, optimizer, {**RATE, **options, "multi_precision": True}, skip_nonfinite=True)
        steps(net, pipe, trainer, (1,), "float16", math.inf)


def with_and_without(optimizer, **options):
    """Everything after four good steps of a trainer that does not look whether they are, and of one that does."""
    for skip in (False, True):
        net = network(dense, dense, dense)
        with pipeline(net, (1, 2)) as pipe:
            trainer = Trainer(pipe, optimizer, {**RATE, **options}, clip_norm=0.5, skip_nonfinite=skip)
            steps(net, pipe, trainer)
            yield everything(net, trainer)


@pytest.mark.parametrize("optimizer, options", [
    *((name, {}) for name in KNOWN if name not in ("adam", "sgld")), ("adam", {"wd": 0.1})])  # sgld draws numbers
def test_good_steps_are_bit_by_bit_those_of_a_trainer_that_does_not_look(optimizer, options):
    plain, looked = with_and_without(optimizer, **options)
    assert looked == plain


@pytest.mark.parametrize("options", [{}, {"clip_gradient": 0.01}, {"rescale_grad": 3.0, "beta1": 0.5},
                                     {"epsilon": 0.1, "beta2": 0.9, "multi_precision": True}])
def test_good_steps_of_adam_are_those_of_its_own_operator_but_for_rounding(options):
    plain, looked = ({name: np.frombuffer(array, "float32") for name, array in each.items()}
                     for each in with_and_without("adam", **options))
    assert_same(looked, plain)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lamb", "ftml", "adamax"])
def test_the_counts_of_updates_go_on_and_nothing_else(optimizer):
    """Plain Gluon that leaves the bad step out, and only counts it."""
    def schedule():
        return {**RATE, "lr_scheduler": mx.lr_scheduler.FactorScheduler(2, 0.5, base_lr=0.05)}

    expected = network(dense, dense, dense)
    plain = gluon.Trainer(expected.collect_params(), optimizer, schedule())
    for step in range(4):
        if step == 1:
            plain._optimizer._update_count(list(range(6)))
        else:
            plain_step(expected, plain, step)
    net = network(dense, dense, dense)
    with pipeline(net, (1, 2)) as pipe:
        trainer = Trainer(pipe, optimizer, schedule(), skip_nonfinite=True)
        steps(net, pipe, trainer, bad=(1,))
        assert trainer.learning_rate == plain.learning_rate and trainer.optimizer.num_update == 4
    assert_same(values_of(net), values_of(expected))


def test_states_that_come_from_a_file_stay_too(tmp_path):
    net = network(dense, dense, dense)
    with pipeline(net, (1, 2)) as pipe:
        steps(net, pipe, Trainer(pipe, "adam", dict(RATE), skip_nonfinite=True))
        trainer = Trainer(pipe, "adam", dict(RATE), skip_nonfinite=True)
        pipe.forward_backward(*batch(0))
        trainer.step(ROWS)
        trainer.save_states(str(tmp_path / "states"))
        before = everything(net, trainer)
        trainer.load_states(str(tmp_path / "states"))
        pipe.forward_backward(*batch(0))
        trainer.step(ROWS, loss=mx.nd.array([math.nan]))
        assert everything(net, trainer) == before


@pytest.mark.parametrize("loss", BAD)
def test_a_loss_that_is_not_finite_skips_its_update_and_those_in_a_row_are_counted(loss):
    net = network(dense, dense, dense)
    with pipeline(net, (1, 2)) as pipe:
        trainer = Trainer(pipe, "adam", dict(RATE), clip_norm=1.0, skip_nonfinite=True)
        counts = []
        for value in (1.0, loss, loss, 1e30, loss):
            pipe.forward_backward(*batch(0))
            before = values_of(net)
            norm = trainer.step(ROWS, loss=mx.nd.array([value]))
            assert math.isfinite(norm.asscalar())
            same = all((array == before[name]).all() for name, array in values_of(net).items())
            assert same == (not math.isfinite(value))
            counts.append(trainer.skipped.asnumpy().tolist())
    assert counts == [[0, 0], [1, 1], [2, 2], [2, 0], [3, 1]]


def test_convolutions_and_copies_of_a_shared_parameter_are_skipped_too():
    layers = [gluon.nn.Conv1D(4, 3, padding=1, in_channels=4), gluon.nn.Conv1D(4, 3, padding=1, in_channels=4)]
    layers.append(gluon.nn.Conv1D(4, 3, padding=1, in_channels=4, params=layers[0].params))
    x = mx.nd.array(np.random.RandomState(0).randn(4, 4, 5))
    with Pipeline(layers, Plan((2, 1), CONTEXTS[:2]), gluon.loss.L2Loss()) as pipe:
        pipe.initialize(mx.init.Uniform(0.5))
        trainer = Trainer(pipe, "adam", dict(RATE), clip_norm=1.0, skip_nonfinite=True)
        for bad in (False, True, False):
            pipe(x)  # prediction leaves convolutions' weights in a layout of oneDNN's own
            pipe.forward_backward(x, x)
            before = [copy.asnumpy() for p in pipe.collect_params().values() for copy in p.list_data()]
            trainer.step(4, loss=mx.nd.array([math.nan if bad else 1.0]))
            after = [copy.asnumpy() for p in pipe.collect_params().values() for copy in p.list_data()]
            assert [(a == b).all() for a, b in zip(after, before)] == [bad] * len(after)


def test_gradients_are_named_as_the_backward_pass_reaches_them_and_are_left_as_they_were():
    net = network(dense, dense, dense)
    with pipeline(net, (1, 2)) as pipe:
        trainer = Trainer(pipe, "adam", dict(RATE), clip_norm=0.1, skip_nonfinite=True)
        pipe.forward_backward(*batch(0))
        assert trainer.nonfinite_gradients() == []
        mx.nd.waitall()
        net[0].bias.list_grad()[0][0] = math.nan
        net[1].weight.list_grad()[0][0, 1] = math.inf
        last = net[2].weight.list_grad()[0].asnumpy()
        trainer.step(ROWS)
        assert trainer.nonfinite_gradients() == ["1.weight", "0.bias"]
        np.testing.assert_array_equal(net[2].weight.list_grad()[0].asnumpy(), last)


def test_values_and_states_that_are_not_finite_are_named():
    net = network(dense, dense, dense)
    with pipeline(net, (1, 2)) as pipe:
        trainer = Trainer(pipe, "adam", dict(RATE))
        steps(net, pipe, trainer)
        assert trainer.nonfinite_values() == []
        net[1].bias.list_data()[0][0] = math.nan
        next(arrays_of(trainer._updaters[0].states[4]))[0] = math.inf
        assert trainer.nonfinite_values() == ["1.bias", "the optimizer's state of 2.bias"]


def test_nothing_waits_in_a_step_that_may_be_skipped(monkeypatch):
    net = network(dense, dense, dense)
    with pipeline(net, (1, 2)) as pipe:
        trainer = Trainer(pipe, "adam", dict(RATE), clip_norm=1.0, skip_nonfinite=True)
        loss = pipe.forward_backward(*batch(0))
        for name in ("asnumpy", "asscalar", "wait_to_read", "__bool__"):
            monkeypatch.setattr(mx.nd.NDArray, name, lambda *_: pytest.fail("waits"))
        trainer.step(ROWS, loss=loss)
        monkeypatch.undo()
        assert trainer.skipped.asnumpy().tolist() == [0, 0]


def test_sums_over_several_updates_are_refused():
    with pytest.raises(ValueError, match="LBSGD adds up over batch_scale=2 updates; use batch_scale=1"):
        Trainer(network(dense), "lbsgd", {"batch_scale": 2}, skip_nonfinite=True)
    Trainer(network(dense), "lbsgd", {"batch_scale": 2})
