"""What one stage holds in one step, and what a step leaves behind: nothing."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS
from mxnet import autograd, gluon

from mxmp.nn import LSTMLayer
from mxmp.pipeline.cut import Feed
from mxmp.pipeline.stage import Stage
from mxmp.pipeline.stage_step import StageStep
from mxmp.schedule import Unit, one_f_one_b

HERE = CONTEXTS[1]
STEPS = [2, 3]


@pytest.fixture
def stage():
    """An LSTM layer and a loss over five steps of two rows, time first."""
    layer = LSTMLayer(4, input_size=3)
    layer.initialize(mx.init.Uniform(0.5), ctx=HERE)
    layer.collect_params().setattr("grad_req", "add")  # as a pipeline does
    layer.hybridize()
    return Stage(1, {"lstm": layer}, HERE, gluon.loss.L2Loss(batch_axis=1))


def clear(stage):
    for parameter in stage.contexts:
        parameter.zero_grad()


def numbers(*shape, seed=0):
    return mx.nd.array(np.random.RandomState(seed).randn(*shape), ctx=CONTEXTS[0])


def run(stage, data, label, backward=True):
    """One micro-batch in two chunks; returns loss, input gradients and the stage's work in the step."""
    clear(stage)
    states = [[layer.begin_state(2, ctx=HERE) for layer in stage.stateful]]
    feed = Feed.of(data, label, "TNC", 1, 2, True)
    assert feed.steps == STEPS
    step = StageStep(stage, one_f_one_b(2, 1, 2)[1], feed, states)
    results = [step.forward(Unit("F", 1, 0, t), feed.inputs[0, t]).arrays for t in range(2)]
    grads = [step.backward(Unit("B", 1, 0, t)) for t in (1, 0)][::-1] if backward else []
    return results[-1][0], [grad for (grad,) in grads], step


def expected(stage, data, label):
    """Loss, input gradient and the parameters' gradients in plain Gluon over the whole time."""
    layer, data = stage.layers["lstm"], data.as_in_context(HERE)
    data.attach_grad()
    clear(stage)
    with autograd.record():
        total = stage.loss(layer(data), label.as_in_context(HERE)).sum()
    total.backward()
    return total.asnumpy(), data.grad.asnumpy(), [p.grad(HERE).asnumpy() for p in stage.contexts]


def test_chunks_of_a_stage_with_a_loss_are_plain_gluons_whole(stage):
    data, label = numbers(5, 2, 3), numbers(5, 2, 4, seed=1)
    total, grad, grads = expected(stage, data, label)
    loss, input_grads, _ = run(stage, data, label)
    np.testing.assert_allclose(loss.asnumpy(), total, 1e-5)
    np.testing.assert_allclose(np.concatenate([g.asnumpy() for g in input_grads]), grad, 1e-5, 1e-6)
    for p, plain in zip(stage.contexts, grads):
        np.testing.assert_allclose(p.grad(HERE).asnumpy(), plain, 1e-5, 1e-6)


def test_a_step_that_was_broken_off_leaves_nothing_to_the_next(stage):
    data, label = numbers(5, 2, 3), numbers(5, 2, 4, seed=1)
    _, _, broken = run(stage, numbers(5, 2, 3, seed=2), label, backward=False)
    total, grad, _ = expected(stage, data, label)
    loss, input_grads, step = run(stage, data, label)
    np.testing.assert_allclose(loss.asnumpy(), total, 1e-5)
    np.testing.assert_allclose(np.concatenate([g.asnumpy() for g in input_grads]), grad, 1e-5, 1e-6)
    with pytest.raises(KeyError):  # each unit goes backward once, in its own step
        step.backward(Unit("B", 1, 0, 0))
    assert len(broken.backward(Unit("B", 1, 0, 1))) == 1


def test_probes_name_stage_and_unit(stage):
    _, _, step = run(stage, numbers(5, 2, 3), numbers(5, 2, 4, seed=1))
    places = [probe.place for unit in step.probes.by_unit for probe in step.probes.by_unit[unit]]
    assert places[0] == "stage 1 on cpu(1), forward pass of micro-batch 0, layer 'lstm'"
    assert places[-1] == "stage 1 on cpu(1), backward pass of micro-batch 0, one of the layers 'lstm'"
