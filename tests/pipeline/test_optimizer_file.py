"""Files of optimizer states hold what gluon.Trainer's do, under any plan; test_optimizers.py has every optimizer."""
import json
import pickle

import mxnet as mx
import pytest
from helpers.stacks import assert_same
from helpers.training import Shift, dense, freeze, network, pipe_step, pipeline, plain_step, values_of
from mxnet import gluon

from mxmp import Trainer
from mxmp.pipeline import optimizer_file

RATE = {"learning_rate": 0.05}


def normalized():
    return gluon.nn.BatchNorm(in_channels=4)


def described(path):
    return json.loads(mx.nd.load(path)["/json"].asnumpy().tobytes())


def trained(path, optimizer="adam", options=None, kinds=(dense, dense), steps=2):
    """Steps of a pipeline, whose states go to a file."""
    with pipeline(network(*kinds), (1,) * len(kinds)) as pipe:
        trainer = Trainer(pipe, optimizer, options or dict(RATE))
        for step in range(steps):
            pipe_step(pipe, trainer, step)
        trainer.save_states(path)


def loading(path, optimizer="adam", options=None, kinds=(dense, dense)):
    """A new trainer that loads the file."""
    with pipeline(network(*kinds), (len(kinds),)) as pipe:
        trainer = Trainer(pipe, optimizer, options or dict(RATE))
        trainer.load_states(path)
        return trainer


def in_two_runs(kind, middle, frozen, before, path):
    """Values after ``before`` steps, a save, a load and two steps more."""
    for run, steps in enumerate((range(before), range(before, before + 2))):
        net = network(dense, middle, dense)
        model = net if kind is gluon.Trainer else pipeline(net, ((1, 2), (1, 1, 1))[run])
        if run:
            model.load_parameters(f"{path}.params")
        for layer in frozen:
            freeze(net[layer])
        trainer = kind(net.collect_params() if model is net else model, "adam", dict(RATE))
        if run:
            trainer.load_states(f"{path}.states")
        for step in steps:
            (plain_step if model is net else pipe_step)(model, trainer, step)
        model.save_parameters(f"{path}.params")
        trainer.save_states(f"{path}.states")
        if model is not net:
            model.close()
    return values_of(net)


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("middle", [dense, normalized, Shift])
@pytest.mark.parametrize("frozen", [(), (0,), (2,)])
def test_models_with_parameters_without_states_go_on_as_in_gluon(tmp_path, middle, frozen, before):
    """A BatchNorm's statistics, a Constant, frozen layers, and all before the first update have none."""
    expected, actual = (in_two_runs(kind, middle, frozen, before, tmp_path / kind.__module__)
                        for kind in (gluon.Trainer, Trainer))
    assert_same(actual, expected)


def test_a_resumed_run_has_every_layers_own_count(tmp_path):
    path = str(tmp_path / "states")
    net = network(dense, dense)
    with pipeline(net, (1, 1)) as pipe:
        trainer = Trainer(pipe, "adam", dict(RATE))
        for step in range(3):
            freeze(net[0], "null" if step < 2 else "add")
            pipe_step(pipe, trainer, step)
        trainer.save_states(path)
    expected = {"0.bias": 1, "0.weight": 1, "1.bias": 3, "1.weight": 3}
    assert described(path)["by_parameter"]["_index_update_count"] == expected
    trainer = loading(path)
    assert {trainer._names[trainer._params[i]]: count
            for i, count in trainer.optimizer._index_update_count.items()} == expected
    assert (trainer.optimizer.num_update, trainer.optimizer.begin_num_update) == (3, 0)


def test_a_files_arrays_do_not_say_where_they_lived(tmp_path, monkeypatch):
    """MXNet writes an array's context, too, and wants it where a GPU's array is read."""
    saved = {}
    monkeypatch.setattr(optimizer_file, "write_arrays", lambda path, arrays: saved.update(arrays))
    trained(str(tmp_path / "states"))
    assert {name for name in saved if name != "/json"} == {f"{layer}.{name}/{i}" for layer in (0, 1) for i in (0, 1)
                                                           for name in ("weight", "bias")}
    assert {array.context for array in saved.values()} == {mx.cpu(0)}


class Plateau(mx.lr_scheduler.LRScheduler):
    """Remembers the best loss, as the loop tells it; another scheduler says where from."""

    def __init__(self):
        super().__init__(0.5)
        self.best, self.seen, self.after = float("inf"), (), [mx.lr_scheduler.FactorScheduler(1, 0.5, base_lr=0.5)]

    def __call__(self, num_update):
        return self.after[0](num_update) * (1 if self.best > 1 else 0.1)


@pytest.mark.parametrize("make", [
    Plateau, lambda: mx.lr_scheduler.FactorScheduler(1, 0.5, base_lr=0.5),
    lambda: mx.lr_scheduler.MultiFactorScheduler([1, 2, 4], 0.5, base_lr=0.5),
    lambda: mx.lr_scheduler.CosineScheduler(10, 0.5, warmup_steps=1), lambda: mx.lr_scheduler.PolyScheduler(10, 0.5)])
def test_schedulers_go_on_where_they_were_and_stay_the_loops_objects(tmp_path, make):
    path, rates = str(tmp_path / "states"), []
    first = make()
    with pipeline(network(dense, dense), (1, 1)) as pipe:
        trainer = Trainer(pipe, "sgd", {"lr_scheduler": first})
        for step in range(2):
            pipe_step(pipe, trainer, step)
        if make is Plateau:
            first.best, first.seen = 0.5, (1, 2.5)
        trainer.save_states(path)
        held = make()
        other = Trainer(pipe, "sgd", {"lr_scheduler": held})
        other.load_states(path)
        assert other.optimizer.lr_scheduler is held and held is not first
        if make is Plateau:
            assert (held.best, held.seen, held.after[0].count) == (0.5, (1, 2.5), 1)
        else:
            assert vars(held) == vars(first)
        for each in (trainer, other):
            pipe_step(pipe, each, 2)
            rates.append(each.learning_rate)
    assert rates[0] == rates[1] < 0.5


def test_the_optimizers_own_values_come_from_the_file_as_in_gluon(tmp_path):
    path, options = str(tmp_path / "states"), {"learning_rate": 0.25, "beta1": 0.5, "wd": 0.125, "clip_gradient": 2.0}
    trained(path, "adam", options)
    with pipeline(network(dense, dense), (2,)) as pipe:
        held = mx.optimizer.Adam()
        trainer = Trainer(pipe, held)
        trainer.load_states(path)
    assert trainer.optimizer is held and trainer.learning_rate == 0.25
    assert (held.beta1, held.wd, held.clip_gradient) == (0.5, 0.125, 2.0)


def test_a_file_takes_the_place_of_all_states_that_were_there(tmp_path):
    path = str(tmp_path / "states")
    net = network(dense, dense)
    with pipeline(net, (1, 1)) as pipe:
        trainer = Trainer(pipe, "adam", dict(RATE))
        trainer.save_states(path)
        results = []
        for _ in range(2):
            for name, value in values_of(network(dense, dense)).items():
                net._collect_params_with_prefix()[name].set_data(mx.nd.array(value))
            trainer.load_states(path)
            for step in range(2):
                pipe_step(pipe, trainer, step)
            results.append(values_of(net))
    assert_same(*results, 0, 0)


def wide():
    return gluon.nn.Dense(4, in_units=4, use_bias=False)


@pytest.mark.parametrize("options, message", [
    ({"kinds": (dense, wide)}, "belongs to another model: the shape of 1.bias is .4. there and unknown here"),
    ({"kinds": (dense, dense, dense)}, "another model: the shape of 2.bias is unknown there and .4. here"),
    ({"kinds": (dense, lambda: gluon.nn.Dense(5, in_units=4))}, "shape of 1.bias is .4. there and .5. here"),
    ({"optimizer": "sgd"}, "has the states of the optimizer Adam, but this one is SGD"),
    ({"options": {"lr_scheduler": mx.lr_scheduler.FactorScheduler(5)}},
     "of the type None, but this one's is FactorScheduler; give the optimizer such a one, and change it after")])
def test_a_file_that_does_not_fit_is_refused_in_one_line(tmp_path, options, message):
    trained(str(tmp_path / "states"))
    with pytest.raises(ValueError, match=message) as refused:
        loading(str(tmp_path / "states"), **options)
    assert "\n" not in str(refused.value)


def test_a_schedule_that_the_new_optimizer_lacks_is_refused(tmp_path):
    path = str(tmp_path / "states")
    trained(path, "adam", {"lr_scheduler": mx.lr_scheduler.FactorScheduler(5)})
    with pytest.raises(ValueError, match="scheduler of the type FactorScheduler, but this one's is None"):
        loading(path)


class Marked:
    """Whether it was unpickled shows."""

    made = False

    def __reduce__(self):
        return setattr, (Marked, "made", True)


def test_other_files_are_refused_and_run_no_code(tmp_path):
    path = tmp_path / "states"
    path.write_bytes(pickle.dumps(({}, Marked())))
    net = network(dense, dense)
    net.save_parameters(str(tmp_path / "params"))
    mx.nd.save(str(tmp_path / "list"), [mx.nd.zeros(1)])
    for name in ("states", "params", "list", "absent"):
        with pytest.raises(ValueError, match=f"{name} is no file of states that mxmp.Trainer wrote$"):
            loading(str(tmp_path / name))
    assert not Marked.made


def test_what_a_file_cannot_hold_is_refused_with_its_name(tmp_path):
    path = str(tmp_path / "states")
    scheduler = mx.lr_scheduler.FactorScheduler(5)
    scheduler.log = open(__file__, encoding="utf-8")
    with scheduler.log, pytest.raises(ValueError, match="^Adam.lr_scheduler.log is of the type TextIOWrapper, which"):
        trained(path, "adam", {"lr_scheduler": scheduler})
    with pytest.raises(ValueError, match="^LBSGD.cumgrads.0./cum_grad is of the type NDArray"):
        trained(path, "lbsgd", {"learning_rate": 0.1, "batch_scale": 2}, steps=1)
