"""gluon.Trainer's arguments and methods, row by row of docs/trainer.md: the same, other, or refused in one line."""
import inspect
import re
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same
from helpers.training import batch, dense, freeze, network, pipe_step, pipeline, plain_step, values_of
from mxnet import gluon
from mxnet.contrib import amp

from mxmp import Trainer

RATE = {"learning_rate": 0.5}


@pytest.fixture
def pipe():
    with pipeline(network(dense, dense), (1, 1)) as made:
        yield made


def test_the_table_has_every_argument_and_method_of_gluons():
    table = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)", table, re.MULTILINE))
    arguments = set(inspect.signature(gluon.Trainer.__init__).parameters) - {"self"}
    methods = {name for name in vars(gluon.Trainer) if not name.startswith("_")}
    assert arguments | methods <= named


def test_it_is_one_of_gluons_with_the_same_signatures():
    assert issubclass(Trainer, gluon.Trainer)
    for name in ("step", "update", "allreduce_grads", "save_states", "load_states", "set_learning_rate"):
        ours, theirs = (inspect.signature(getattr(kind, name)).parameters for kind in (Trainer, gluon.Trainer))
        more = [("loss", None)] if name in ("step", "update") else []
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()] + more
    ours, theirs = (list(inspect.signature(kind.__init__).parameters.values())[2:] for kind in (Trainer, gluon.Trainer))
    assert [(p.name, p.default) for p in ours[:-2]] == [(p.name, p.default) for p in theirs]
    assert [p.name for p in ours[-2:]] == ["clip_norm", "skip_nonfinite"]


@pytest.mark.parametrize("model", [[], {}, network(dense).collect_params()])
def test_params_that_are_no_block_are_refused(model):
    with pytest.raises(ValueError, match="takes a Pipeline or a Block, got .*; give it the block itself"):
        Trainer(model, "sgd")


class Plateau(mx.lr_scheduler.LRScheduler):
    """The loop says how often the loss stood still."""

    def __init__(self):
        super().__init__(0.5)
        self.cuts = 0

    def __call__(self, num_update):
        return self.base_lr * 0.1 ** self.cuts


def held_scheduler():
    held = Plateau()
    return ("sgd", {"lr_scheduler": held}), lambda: setattr(held, "cuts", held.cuts + 1)


def held_base_rate():
    held = mx.lr_scheduler.FactorScheduler(1000, 0.5, base_lr=0.5)
    return ("sgd", {"lr_scheduler": held}), lambda: setattr(held, "base_lr", held.base_lr / 10)


def held_optimizer():
    held = mx.optimizer.SGD(learning_rate=0.5)
    return (held,), lambda: held.set_learning_rate(held.learning_rate / 10)


def multipliers():
    return ("sgd", {"learning_rate": 0.5, "wd": 0.1}), lambda: None


@pytest.mark.parametrize("make", [held_scheduler, held_base_rate, held_optimizer, multipliers])
def test_an_optimizer_and_a_scheduler_that_the_loop_holds_stay_its_own(pipe, make):
    def run(net, kind, model, step):
        net[0].weight.lr_mult, net[1].weight.wd_mult = 0.5, 2.0
        options, change = make()
        trainer, rates = kind(model, *options), []
        for i in range(3):
            step(net if step is plain_step else model, trainer, i)
            rates.append(trainer.learning_rate)
            change()
        return {**values_of(net), "rates": rates}

    net = network(dense, dense)
    expected = run(net, gluon.Trainer, net.collect_params(), plain_step)
    assert_same(run(pipe.chain, Trainer, pipe, pipe_step), expected)
    assert (expected["rates"][2] < 0.1) == (make is not multipliers)


def test_optimizer_params_beside_an_optimizer_are_refused_as_by_gluon(pipe):
    with pytest.raises(AssertionError, match="optimizer_params must be None"):
        Trainer(pipe, mx.optimizer.SGD(), dict(RATE))
    with pytest.raises(ValueError, match="Cannot find optimizer nosuch"):
        Trainer(pipe, "nosuch")


@pytest.mark.parametrize("kvstore", ["device", "local", None])
@pytest.mark.parametrize("update_on_kvstore", [False, None])
def test_kvstores_of_one_process_are_all_the_same(pipe, kvstore, update_on_kvstore):
    assert Trainer(pipe, "sgd", RATE, kvstore, None, update_on_kvstore).optimizer.lr == 0.5


@pytest.mark.parametrize("options, message", [
    ({"kvstore": "dist_sync"}, "kvstore must be 'device', 'local' or None, got 'dist_sync'"),
    ({"compression_params": {"type": "2bit"}}, "compression_params must be None, got {'type': '2bit'}"),
    ({"update_on_kvstore": True}, "update_on_kvstore must be False or None, got True"),
    ({"clip_norm": 0}, "clip_norm must be positive, got 0"),
    ({"clip_norm": float("nan")}, "clip_norm must be positive, got nan")])
def test_what_is_refused_is_so_in_one_line(pipe, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}[^\n]*$"):
        Trainer(pipe, "sgd", RATE, **options)


def test_the_learning_rate_is_set_and_read_and_a_schedule_refuses_it_as_in_gluon(pipe):
    trainer = Trainer(pipe, "sgd", dict(RATE))
    trainer.set_learning_rate(lr=0.25)
    assert trainer.learning_rate == trainer.optimizer.learning_rate == 0.25
    with pytest.raises(UserWarning, match="LRScheduler of the optimizer has already been defined"):
        Trainer(pipe, "sgd", {"lr_scheduler": Plateau()}).set_learning_rate(0.25)


def test_allreduce_and_update_are_the_halves_of_a_step():
    results = []
    for halves in (False, True):
        net = gluon.nn.Sequential(prefix="net_")
        with net.name_scope():
            first = dense()
            net.add(first, gluon.nn.Dense(4, in_units=4, params=first.params))
        net.initialize(mx.init.Constant(0.1))
        with pipeline(net, (1, 1)) as made:
            trainer = Trainer(made, "sgd", RATE, clip_norm=0.1)
            made.forward_backward(*batch(0))
            if halves:
                alone = sum(grad.asnumpy() for grad in first.weight.list_grad())
                trainer.allreduce_grads()
                for grad in first.weight.list_grad():
                    np.testing.assert_allclose(grad.asnumpy(), alone, 1e-6)
                norm = trainer.update(6)
            else:
                norm = trainer.step(6)
            results.append({**values_of(net), "norm": norm.asnumpy()})
    assert_same(*results)


def test_a_gradient_of_an_earlier_step_is_refused_or_passed_over_as_by_gluon(pipe):
    trainer = Trainer(pipe, "sgd", dict(RATE))
    pipe_step(pipe, trainer, 0)
    before = values_of(pipe.chain)
    with pytest.raises(UserWarning, match="no backward pass has reached 0.bias since its last update; .*ignore_stale"):
        trainer.step(6)
    trainer.step(6, ignore_stale_grad=True)
    assert_same(values_of(pipe.chain), before, 0, 0)
    freeze(pipe.chain[0])
    pipe.forward_backward(*batch(1))
    freeze(pipe.chain[0], "add")
    with pytest.raises(UserWarning):
        trainer.step(6)
    assert_same(values_of(pipe.chain), before, 0, 0)
    trainer.step(6, True)
    after = values_of(pipe.chain)
    assert [name for name in after if not (after[name] == before[name]).all()] == ["1.weight", "1.bias"]


def test_an_unused_copy_of_a_shared_parameter_adds_nothing():
    alone, net = network(dense, dense), network(dense, dense)
    plain_step(alone, gluon.Trainer(alone.collect_params(), "sgd", dict(RATE)), 0)
    net.collect_params().reset_ctx(CONTEXTS[:2])
    trainer = Trainer(net, "sgd", dict(RATE))
    with pytest.raises(UserWarning):
        plain_step(net, trainer, 0)
    trainer.step(6, ignore_stale_grad=True)
    assert_same(values_of(net), values_of(alone))
    for parameter in net.collect_params().values():
        np.testing.assert_array_equal(*[copy.asnumpy() for copy in parameter.list_data()])


def test_arrays_of_mxnets_numpy_are_updated_as_by_gluon(tmp_path):
    results = []
    with mx.util.np_array(True):
        for kind in (gluon.Trainer, Trainer):
            net = dense()
            net.initialize(mx.init.Constant(0.1), CONTEXTS[:2])
            trainer = kind(net.collect_params(), "adam", dict(RATE), update_on_kvstore=False) if kind is gluon.Trainer \
                else kind(net, "adam", dict(RATE), clip_norm=1e9)
            for step in range(2):
                with mx.autograd.record():
                    totals = [net(x.as_in_context(context).as_np_ndarray()).sum()
                              for x, context in zip(batch(step), CONTEXTS)]
                mx.autograd.backward(totals)
                trainer.step(6)
                trainer.save_states(str(tmp_path / "states"))
                trainer.load_states(str(tmp_path / "states"))
            results.append(values_of(net))
    assert_same(*results)


def test_uninitialized_parameters_are_refused_as_by_gluon():
    for kind, model in ((Trainer, dense()), (gluon.Trainer, dense().collect_params())):
        with pytest.raises(RuntimeError, match="has not been initialized"):
            kind(model, "sgd")


def test_amps_loss_scaling_is_refused_in_one_line(pipe, monkeypatch):
    monkeypatch.setattr(amp.amp, "_amp_initialized", True)
    with pytest.raises(RuntimeError, match=r"^AMP's loss scaling [^\n]*rescale_grad=1/constant$"):
        amp.init_trainer(Trainer(pipe, "sgd"))


def test_what_amp_is_refused_for_is_done_with_a_constant():
    results = []
    for constant in (1.0, 1024.0):
        net = network(dense, dense)
        with pipeline(net, (1, 1), constant) as made:
            trainer = Trainer(made, "adam", {**RATE, "rescale_grad": 1 / constant}, clip_norm=0.1)
            norm = pipe_step(made, trainer, 0)
            results.append({**values_of(net), "norm": norm.asnumpy()})
    assert_same(*results, rtol=1e-4)
