"""Every optimizer of MXNet against gluon.Trainer on one context: parameters after several steps under several plans,
undisturbed and saved and loaded in the middle."""
import gluonnlp  # noqa: F401  (it has an optimizer, too)
import mxnet as mx
import pytest
from helpers.stacks import assert_same, pipelined, random_values
from helpers.training import Scale, dense, freeze, network, pipe_step, pipeline, plain_step, values_of
from mxnet import gluon

from mxmp import Trainer

PLANS = [(3,), (1, 2), (1, 1, 1)]
RATE = {"learning_rate": 0.05}
NEEDED = {"groupadagrad": "needs matrices only", "sgld": "draws random numbers, on each context others"}
KNOWN = sorted(set(mx.optimizer.Optimizer.opt_registry) - set(NEEDED))
MORE = [("sgd", {"momentum": 0.9}), ("nag", {"momentum": 0.9}), ("lars", {"momentum": 0.9}),
        ("lbsgd", {"momentum": 0.9, "batch_scale": 1}), ("rmsprop", {"centered": True}), ("adam", {"wd": 0.01}),
        ("adam", {"clip_gradient": 0.05}), ("adam", {"begin_num_update": 5}), ("adam", {"rescale_grad": 0.25})]
HALF = [("sgd", {}), ("sgd", {"momentum": 0.9}), ("nag", {"momentum": 0.9}), ("adam", {"epsilon": 1e-3}), ("lamb", {})]


def gluons(optimizer, options, kinds=(dense,) * 3, dtype="float32"):
    net = network(*kinds, dtype=dtype)
    trainer = gluon.Trainer(net.collect_params(), optimizer, dict(options))
    for step in range(4):
        plain_step(net, trainer, step, dtype)
    return values_of(net)


def piped(optimizer, options, plans, path, kinds=(dense,) * 3, dtype="float32"):
    """Two steps under each plan, with new objects that go on from the file before."""
    for part, plan in enumerate(plans):
        net = network(*kinds, dtype=dtype)
        with pipeline(net, plan) as pipe:
            trainer = Trainer(pipe, optimizer, dict(options))
            if part:
                pipe.load_parameters(f"{path}.params")
                trainer.load_states(f"{path}.states")
            for step in range(2 * part, 2 * part + 4 // len(plans)):
                pipe_step(pipe, trainer, step, dtype)
            pipe.save_parameters(f"{path}.params")
            trainer.save_states(f"{path}.states")
    return values_of(net)


@pytest.mark.parametrize("optimizer, options", [*((name, {}) for name in KNOWN), *MORE])
def test_steps_are_gluons_under_every_plan_and_through_files(tmp_path, optimizer, options):
    options = {**RATE, **options}
    expected = gluons(optimizer, options)
    for plans in (PLANS[2:], PLANS[:2], PLANS[:0:-1]):
        assert_same(piped(optimizer, options, plans, tmp_path / "files"), expected)


def test_an_optimizer_of_matrices_alone(tmp_path):
    kinds = (lambda: gluon.nn.Dense(4, in_units=4, use_bias=False),) * 3
    expected = gluons("groupadagrad", RATE, kinds)
    assert_same(piped("groupadagrad", RATE, PLANS[1:], tmp_path / "files", kinds), expected)


@pytest.mark.parametrize("optimizer, options", HALF)
def test_float16_with_float32_copies(tmp_path, optimizer, options):
    options = {**RATE, **options, "multi_precision": True}
    expected = gluons(optimizer, options, (Scale,) * 3, "float16")
    assert_same(piped(optimizer, options, PLANS[1:], tmp_path / "files", (Scale,) * 3, "float16"), expected, 1e-2, 1e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam", "lamb", "lars", "bertadam"])
@pytest.mark.parametrize("first, later", [((0,), ()), ((0, 1), (0,)), ((), (0,)), ((1, 2), (1,))])
def test_layers_that_are_frozen_and_thawed_have_gluons_rates_and_counts(optimizer, first, later):
    def run(net, trainer, step, pieces=None):
        rates = []
        for i in range(6):
            for layer in range(3):
                freeze(net[layer], "null" if layer in (first if i < 3 else later) else "write")
            step(pieces or net, trainer, i)
            rates.append(trainer.learning_rate)
        return rates, values_of(net)

    def options():
        momentum = {"momentum": 0.9} if optimizer in ("sgd", "lars") else {}
        return {**RATE, **momentum, "lr_scheduler": mx.lr_scheduler.FactorScheduler(2, 0.5, base_lr=0.05)}

    net = network(dense, dense, dense)
    expected = run(net, gluon.Trainer(net.collect_params(), optimizer, options()), plain_step)
    for plan in PLANS:
        net = network(dense, dense, dense)
        with pipeline(net, plan) as pipe:
            rates, values = run(net, Trainer(pipe, optimizer, options()), pipe_step, pipe)
        assert rates == expected[0]
        assert_same(values, expected[1])


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "lamb", "sgd"])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_parameter_of_two_stages_is_updated_once(optimizer, frozen):
    results = []
    for counts in ((3,), (1, 1, 1)):
        chain = gluon.nn.Sequential(prefix="net_")
        with chain.name_scope():
            first = dense()
            chain.add(first, dense(), gluon.nn.Dense(4, in_units=4, params=first.params))
        with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), counts, 2) as pipe:
            trainer = Trainer(pipe, optimizer, dict(RATE), clip_norm=0.5)
            for step in range(4):
                freeze(first, "null" if frozen and step < 2 else "write")
                pipe_step(pipe, trainer, step)
            copies = [copy.asnumpy() for copy in first.weight.list_data()]
            assert len(copies) == min(len(counts), 2) and (copies[0] == copies[-1]).all()
            counted = trainer.optimizer._index_update_count
            assert sorted(counted.values()) == ([2, 2, 4, 4] if frozen else [4, 4, 4, 4])
            results.append(values_of(chain))
    assert_same(results[1], results[0], rtol=1e-4)


def test_names_with_numbers_are_updated_in_the_order_of_the_numbers():
    results = []
    for first in (0, 9):  # dense9, dense10, dense11
        net = gluon.nn.Sequential()
        net.add(*[gluon.nn.Dense(4, in_units=4, prefix=f"dense{first + i}_") for i in range(3)])
        with pipelined(net, random_values(network(dense, dense, dense)), gluon.loss.L2Loss(), (2, 1)) as pipe:
            trainer = Trainer(pipe, "nadam", dict(RATE))
            pipe_step(pipe, trainer, 0)
            results.append(values_of(net))
    assert_same(*results)
