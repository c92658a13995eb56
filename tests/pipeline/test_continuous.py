"""A pipeline that never drains: plain Gluon that applies each gradient one step late."""
import math

import mxnet as mx
import numpy as np
import pytest
from helpers.operators import Picky
from helpers.stacks import CONTEXTS, assert_same
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan, Trainer
from mxmp.nn import LSTMLayer

SIZE, CLIP, RATE = 5, 0.1, 0.01


def layers():
    chain = gluon.nn.HybridSequential(prefix="net_")
    with chain.name_scope():
        chain.add(*[LSTMLayer(SIZE, input_size=SIZE, layout="NTC") for _ in range(3)])
    chain.initialize(mx.init.Uniform(0.5))
    rng = np.random.RandomState(0)
    for parameter in chain.collect_params().values():
        parameter.set_data(mx.nd.array(rng.uniform(-0.5, 0.5, parameter.shape)))
    return chain


def batches(steps, rows=4, length=6):
    rng = np.random.RandomState(1)
    for step in range(steps):
        n, t = (rows, length) if isinstance(rows, int) else (rows[step % len(rows)], length + step % 3)
        yield [mx.nd.array(rng.uniform(-1, 1, (n, t, SIZE)).astype("float32")) for _ in range(2)]


def values(chain):
    return {name: parameter.data(parameter.list_ctx()[0]).asnumpy()
            for name, parameter in chain.collect_params().items()}


def one_step_late(data, flushes=()):
    """Adam with clipping in plain Gluon, which applies a step's gradient after the next one was computed. Returns
    parameters and losses."""
    chain, loss_of = layers(), gluon.loss.L2Loss()
    parameters = chain.collect_params()
    trainer = gluon.Trainer(parameters, "adam", {"learning_rate": RATE})
    late, losses = None, []

    def apply(gradients, rows):
        for name, parameter in parameters.items():
            parameter.grad()[:], parameter.data()._fresh_grad = gradients[name], True
        gluon.utils.clip_global_norm([p.grad() for p in parameters.values()], CLIP * rows)
        trainer.step(rows)

    for number, (x, y) in enumerate(data):
        with autograd.record():
            loss = loss_of(chain(x), y).sum()
        loss.backward()
        losses.append(loss.asscalar())
        now = {name: parameter.grad().copy() for name, parameter in parameters.items()}, len(x)
        if late:
            apply(*late)
        late = now
        if number in flushes:
            apply(*late)
            late = None
    if late:
        apply(*late)
    return values(chain), losses


PLANS = {1: (3,), 2: (2, 1), 3: (1, 1, 1)}


def continuous(data, stages, microbatches, flushes=(), **given):
    chain = layers()
    with Pipeline(chain, Plan(PLANS[stages], CONTEXTS[:stages]), gluon.loss.L2Loss(), microbatches,
                  schedule="continuous", **given) as pipe:
        trainer = Trainer(pipe, "adam", {"learning_rate": RATE}, clip_norm=CLIP)
        losses = []
        for number, (x, y) in enumerate(data):
            losses.append(pipe.forward_backward(x, y))
            trainer.step(len(x))
            if number in flushes:
                pipe.flush()
        losses = [loss.asscalar() for loss in losses]
        pipe.flush()
        return values(chain), losses


@pytest.mark.parametrize("stages", PLANS)
@pytest.mark.parametrize("microbatches", [1, 2, 4])
def test_ten_steps_are_plain_gluons_with_every_gradient_one_step_late(stages, microbatches):
    expected, losses = one_step_late(batches(10))
    found, found_losses = continuous(batches(10), stages, microbatches)
    assert_same(found, expected)
    np.testing.assert_allclose(found_losses, losses, 1e-5)


@pytest.mark.parametrize("stages", [2, 3])
@pytest.mark.parametrize("microbatches", [1, 3, 4])
def test_batches_of_other_sizes_follow_each_other(stages, microbatches):
    rows = [4, 2, 5, 1, 3]
    expected, losses = one_step_late(batches(8, rows))
    found, found_losses = continuous(batches(8, rows), stages, microbatches)
    assert_same(found, expected)
    np.testing.assert_allclose(found_losses, losses, 1e-5)


@pytest.mark.parametrize("flushes", [(0,), (2, 3), (1, 5, 7)])
def test_a_flush_makes_the_update_and_begins_the_stream_anew(flushes):
    assert_same(continuous(batches(8), 3, 2, flushes)[0], one_step_late(batches(8), flushes)[0])


def test_other_schedules_have_nothing_to_flush():
    chain = layers()
    with Pipeline(chain, Plan((2, 1), CONTEXTS[:2]), gluon.loss.L2Loss(), 2) as pipe:
        trainer = Trainer(pipe, "adam", {"learning_rate": RATE})
        for x, y in batches(2):
            pipe.forward_backward(x, y)
            trainer.step(len(x))
            before = values(chain)
            pipe.flush()
            assert_same(values(chain), before, 0, 0)


def started(stages=2, microbatches=2, loss=None, chain=None, **given):
    """A chain, its pipeline and its trainer."""
    chain = chain or layers()
    pipe = Pipeline(chain, Plan(PLANS[stages], CONTEXTS[:stages]), loss or gluon.loss.L2Loss(), microbatches,
                    schedule="continuous")
    return chain, pipe, Trainer(pipe, "adam", {"learning_rate": RATE}, clip_norm=CLIP, **given)


def streamed(pipe, trainer, data):
    for x, y in data:
        pipe.forward_backward(x, y)
        trainer.step(len(x))


def evaluate(pipe, tmp_path):
    pipe(next(batches(1))[0])


def save(pipe, tmp_path):
    pipe.save_parameters(str(tmp_path / "values"))


def close(pipe, tmp_path):
    pipe.close()


@pytest.mark.parametrize("look", [evaluate, save, close])
def test_what_looks_at_the_parameters_finds_all_updates_made(tmp_path, look):
    chain, pipe, trainer = started(3)
    streamed(pipe, trainer, batches(5))
    look(pipe, tmp_path)
    assert_same(values(chain), one_step_late(batches(5))[0])
    pipe.close()


def test_states_that_are_saved_and_loaded_go_on_as_after_a_flush(tmp_path):
    expected, _ = one_step_late(batches(7), [3])
    _, pipe, trainer = started(3)
    data = list(batches(7))
    streamed(pipe, trainer, data[:4])
    trainer.save_states(str(tmp_path / "states"))
    pipe.save_parameters(str(tmp_path / "values"))
    pipe.close()
    chain, pipe, trainer = started(2)
    streamed(pipe, trainer, data[:2])  # of no consequence
    pipe.load_parameters(str(tmp_path / "values"))
    trainer.load_states(str(tmp_path / "states"))
    streamed(pipe, trainer, data[4:])
    pipe.close()
    assert_same(values(chain), expected)


def test_a_step_without_an_update_leaves_gradients_that_the_next_one_writes_over():
    data = list(batches(4))
    chain, pipe, trainer = started(3, 4)
    streamed(pipe, trainer, data[:2])
    pipe.forward_backward(*data[3])
    streamed(pipe, trainer, data[2:])
    pipe.close()
    assert_same(values(chain), one_step_late(data)[0])


def test_the_norm_and_the_rate_are_those_of_the_update_that_is_made():
    _, pipe, trainer = started()
    norms = []
    for rate, (x, y) in zip((1.0, 2.0, 3.0), batches(3)):
        trainer.set_learning_rate(rate)
        pipe.forward_backward(x, y)
        norms.append(trainer.step(len(x)).asscalar())
        assert trainer.optimizer.num_update == len(norms) - 1
    assert norms[0] == 0 and norms[1] > 0 and norms[2] > 0
    pipe.close()


@pytest.mark.parametrize("bad", [0, 2, 3])
def test_a_bad_step_is_skipped_and_its_neighbours_are_not(bad):
    data = [(x * (math.nan if number == bad else 1), y) for number, (x, y) in enumerate(batches(5))]
    chain, pipe, trainer = started(3, 2, skip_nonfinite=True)
    for x, y in data:
        trainer.step(len(x), loss=pipe.forward_backward(x, y))
    pipe.flush()
    assert trainer.skipped.asnumpy()[0] == 1
    assert all(np.isfinite(value).all() for value in values(chain).values())
    pipe.close()


def test_time_chunks_and_carried_states_go_from_step_to_step():
    """Truncated back-propagation through time, beside plain Gluon's."""
    data, loss_of = list(batches(6)), gluon.loss.L2Loss()
    chain, pipe, trainer = started(3, 2)
    pipe.num_chunks = 3
    states = pipe.begin_state(4)
    for x, y in data:
        _, states = pipe.forward_backward(x, y, states=states)
        trainer.step(len(x))
    pipe.close()

    other = layers()
    parameters = other.collect_params()
    late, states, optimizer = None, [layer.begin_state(4) for layer in other], gluon.Trainer(
        parameters, "adam", {"learning_rate": RATE})
    for x, y in [*data, (None, None)]:
        if x is not None:
            with autograd.record():
                out, news = x, []
                for layer, state in zip(other, states):
                    out, new = layer(out, [array.detach() for array in state])
                    news.append(new)
                loss = loss_of(out, y).sum()
            loss.backward()
            states, now = news, [p.grad().copy() for p in parameters.values()]
        if late:
            for parameter, gradient in zip(parameters.values(), late):
                parameter.grad()[:], parameter.data()._fresh_grad = gradient, True
            gluon.utils.clip_global_norm([p.grad() for p in parameters.values()], CLIP * 4)
            optimizer.step(4)
        late = now
    assert_same(values(chain), values(other))


def test_a_parameter_of_two_stages_has_both_its_gradients():
    def tied():
        chain = layers()
        with chain.name_scope():
            chain.add(LSTMLayer(SIZE, input_size=SIZE, layout="NTC", params=chain[0].params))
        return chain

    results = []
    for plan in ((4,), (2, 2), (1, 2, 1)):
        chain = tied()
        with Pipeline(chain, Plan(plan, CONTEXTS[:len(plan)]), gluon.loss.L2Loss(), 2, schedule="continuous") as pipe:
            trainer = Trainer(pipe, "adam", {"learning_rate": RATE}, clip_norm=CLIP)
            streamed(pipe, trainer, batches(5))
        results.append(values(chain))
        copies = [[copy.asnumpy() for copy in p.list_data()] for p in chain.collect_params().values()]
        assert all((copy == first).all() for first, *others in copies for copy in others)
    assert_same(results[1], results[0])
    assert_same(results[2], results[0])


def test_an_inputs_gradient_is_there_after_the_next_step_or_a_flush():
    chain, pipe, trainer = started(2)
    given = list(batches(2))
    for x, _ in given:
        x.attach_grad()
    first = layers()
    with autograd.record():
        x = given[0][0].copy()
        x.attach_grad()
        loss = gluon.loss.L2Loss()(first(x), given[0][1]).sum()
    loss.backward()
    streamed(pipe, trainer, given)
    np.testing.assert_allclose(given[0][0].grad.asnumpy(), x.grad.asnumpy(), 1e-5, 1e-6)
    assert not given[1][0].grad.asnumpy().any()
    pipe.flush()
    assert given[1][0].grad.asnumpy().any()
    pipe.close()


@pytest.mark.parametrize("place", [0, 3])
def test_after_an_error_the_stream_begins_anew_and_plain_gluon_writes_its_gradients(place):
    chain, data = layers(), list(batches(6))
    broken = Picky()
    steps = list(chain._children.values())
    steps.insert(place, broken)
    pipe = Pipeline(steps, Plan((2, 2), CONTEXTS[:2]), gluon.loss.L2Loss(), 2, schedule="continuous", hybridize=False)
    trainer = Trainer(pipe, "adam", {"learning_rate": RATE}, clip_norm=CLIP)
    streamed(pipe, trainer, data[:3])
    broken.countdown = 2
    with pytest.raises(KeyError, match="broken"):
        pipe.forward_backward(*data[3])
    with pytest.raises(UserWarning, match="no forward_backward since the last update"):
        trainer.step(4)
    x, y = data[4]
    for _ in range(2):
        with autograd.record():
            out = x
            for layer in chain._children.values():
                out = layer(out.as_in_context(layer.collect_params()[next(iter(layer.collect_params()))].list_ctx()[0]))
            loss = gluon.loss.L2Loss()(out, y.as_in_context(out.context)).sum()
        loss.backward()
        gradients = [p.list_grad()[0].asnumpy() for p in chain.collect_params().values()]
    before = values(chain)
    streamed(pipe, trainer, data[4:])
    pipe.close()
    assert any((values(chain)[name] != before[name]).any() for name in before)
    expected = layers()
    for name, parameter in expected.collect_params().items():
        parameter.set_data(mx.nd.array(before[name]))
    with autograd.record():
        loss = gluon.loss.L2Loss()(expected(x), y).sum()
    loss.backward()
    for gradient, parameter in zip(gradients, expected.collect_params().values()):
        np.testing.assert_allclose(gradient, parameter.grad().asnumpy(), 1e-5, 1e-6)


def test_what_does_not_suit_a_stream_is_refused():
    chain, pipe, trainer = started()
    for half in (trainer.allreduce_grads, lambda: trainer.update(4)):
        with pytest.raises(RuntimeError, match="updates are made a step late, as a whole; call step"):
            half()
    with pytest.raises(UserWarning, match="no forward_backward since the last update"):
        trainer.step(4)
    streamed(pipe, trainer, batches(2))
    with pytest.raises(UserWarning, match="no forward_backward since the last update"):
        trainer.step(4)
    with pytest.raises(ValueError, match="in a continuous pipeline, whose updates are made a step late; give Trainer "
                                         "the pipeline"):
        Trainer(chain, "adam")
    chain[1].collect_params().setattr("grad_req", "null")
    with pytest.raises(RuntimeError, match="was frozen, thawed, moved or cast while .* call flush"):
        pipe.forward_backward(*next(batches(1)))
    streamed(pipe, trainer, batches(1))  # the lost update is not asked for again
    pipe.flush()
    chain[1].collect_params().setattr("grad_req", "add")
    with pytest.raises(ValueError, match="has grad_req='add', but the steps of a continuous pipeline take turns"):
        pipe.forward_backward(*next(batches(1)))
    chain[1].collect_params().setattr("grad_req", "write")
    pipe.close()
    with pytest.raises(ValueError, match="would compute again with the next step's weights; use recompute=False"):
        Pipeline(layers(), Plan((2, 1), CONTEXTS[:2]), gluon.loss.L2Loss(), schedule="continuous",
                 recompute=[True, False])


def test_a_pipeline_is_closed_though_its_last_update_cannot_be_made():
    chain, pipe, trainer = started()
    streamed(pipe, trainer, batches(2))
    chain[1].collect_params().setattr("grad_req", "null")
    with pytest.raises(RuntimeError, match="was frozen"):
        pipe.close()
    with pytest.raises(RuntimeError, match="was closed"):
        pipe.forward_backward(*next(batches(1)))
    Pipeline(chain, Plan((1, 2), CONTEXTS[:2])).close()  # whose parameters another plan may have now


def test_layers_are_frozen_and_thawed_after_a_flush():
    results = []
    for stages in (1, 3):
        chain, pipe, trainer = started(stages)
        for grad_req in ("write", "null", "write"):
            chain[1].collect_params().setattr("grad_req", grad_req)
            before = chain[1].collect_params()[next(iter(chain[1].collect_params()))].list_data()[0].asnumpy()
            streamed(pipe, trainer, batches(3))
            pipe.flush()
            after = chain[1].collect_params()[next(iter(chain[1].collect_params()))].list_data()[0].asnumpy()
            assert (before == after).all() == (grad_req == "null")
        results.append(values(chain))
        pipe.close()
    assert_same(results[1], results[0])


def test_nothing_waits_in_a_stream(monkeypatch):
    _, pipe, trainer = started(3, 2)
    data = list(batches(5))
    streamed(pipe, trainer, data[:2])
    for name in ("asnumpy", "asscalar", "wait_to_read", "__bool__"):
        monkeypatch.setattr(mx.nd.NDArray, name, lambda *_: pytest.fail("waits"))
    streamed(pipe, trainer, data[2:])
    pipe.flush()
    monkeypatch.undo()
    pipe.close()


def test_dropout_draws_what_other_schedules_draw():
    results = []
    for schedule in ("1f1b", "continuous"):
        chain = layers()
        steps = [*chain._children.values(), gluon.nn.Dropout(0.5)]
        with Pipeline(steps, Plan((2, 2), CONTEXTS[:2]), gluon.loss.L2Loss(), 2, schedule=schedule) as pipe:
            losses = []
            for step, (x, y) in enumerate(batches(3)):
                pipe.seed(5, step)
                losses.append(pipe.forward_backward(x, y).asscalar())
            results.append(losses)
    assert results[0] == results[1]
