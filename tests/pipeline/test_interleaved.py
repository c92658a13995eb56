"""Stages of one context that take turns: in the schedule's order, exact, and refused where they cannot."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, lstm_chain, pipelined, plain, random_values
from mxnet import gluon

from mxmp import Pipeline, Plan
from mxmp.schedule import SCHEDULES, Unit, by_stage, forward_only, interleaved

X, Y = (np.random.RandomState(1).randn(*shape) for shape in ((7, 4, 5), (7, 4, 3)))
TWO = CONTEXTS[:2]


class Logged(mx.operator.CustomOp):
    """Notes when the engine runs it, by its stage and the micro-batch that its input's numbers are."""

    ran = []

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def forward(self, is_train, req, in_data, out_data, aux):
        self.ran.append(Unit("F", self.stage, int(in_data[0].asnumpy().flat[-1])))
        self.assign(out_data[0], req[0], in_data[0])

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.ran.append(Unit("B", self.stage, int(in_data[0].asnumpy().flat[-1])))
        self.assign(in_grad[0], req[0], out_grad[0])


@mx.operator.register("mxmp_test_logged")
class LoggedProp(mx.operator.CustomOpProp):
    """MXNet's description of `Logged`."""

    def __init__(self, stage):
        super().__init__()
        self.stage = int(stage)

    def create_operator(self, ctx, shapes, dtypes):
        return Logged(self.stage)


class LoggedLayer(gluon.HybridBlock):
    """`Logged` as a layer."""

    def __init__(self, stage):
        super().__init__()
        self.stage = str(stage)

    def hybrid_forward(self, F, x):
        return F.Custom(x, op_type="mxmp_test_logged", stage=self.stage)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("microbatches", [2, 3, 6])
def test_the_engine_runs_all_units_of_a_context_in_the_schedules_order(microbatches, training):
    layers, places = [LoggedLayer(stage) for stage in range(4)], TWO * 2
    numbers = mx.nd.arange(microbatches).reshape((-1, 1))
    numbers.attach_grad()
    with Pipeline(layers, Plan((1,) * 4, places), lambda out: out, microbatches, schedule="interleaved") as pipe:
        Logged.ran.clear()
        if training:
            pipe.forward_backward(numbers)
        else:
            pipe(numbers)
        mx.nd.waitall()
    rows = interleaved(places, microbatches) if training else forward_only(places, microbatches, 1, "interleaved")
    for context, units in enumerate(rows):
        assert [unit for unit in Logged.ran if places[unit.stage] == TWO[context]] == units


@pytest.mark.parametrize("counts, contexts", [((1,) * 6, CONTEXTS[:3] * 2), ((2, 2, 1, 1), TWO * 2),
                                              ((1, 3, 2), CONTEXTS[:3]), ((3, 3), CONTEXTS[:1] * 2)])
@pytest.mark.parametrize("microbatches", [1, 2, 5, 7])
def test_steps_after_each_other_and_after_evaluations_give_plain_gluons_gradients(counts, contexts, microbatches):
    chain, x, y = lstm_chain(), mx.nd.array(X), mx.nd.array(Y)
    values = random_values(chain)
    loss, expected = plain(lstm_chain(), values, gluon.loss.L2Loss(), [x], [y])
    with pipelined(chain, values, gluon.loss.L2Loss(), counts, microbatches, contexts, schedule="interleaved") as pipe:
        for _ in range(2):
            total = pipe.forward_backward(x, y)
            np.testing.assert_allclose(pipe(x, y).asnumpy(), loss, rtol=1e-5)
        np.testing.assert_allclose(total.asnumpy(), loss, rtol=1e-5)
        assert_same(gradients(chain), expected)


class Tied(gluon.nn.Sequential):
    """Four Dense layers: the first one's parameters are the third's, on the same context, and the last one's."""

    def __init__(self):
        super().__init__()
        first = gluon.nn.Dense(5, flatten=False, in_units=5, activation="tanh")
        self.add(first, gluon.nn.Dense(5, flatten=False, in_units=5),
                 *[gluon.nn.Dense(5, flatten=False, in_units=5, params=first.params) for _ in range(2)])


def test_parameters_that_stages_share_have_plain_gluons_gradients():
    values, x, loss = random_values(Tied()), mx.nd.array(X), gluon.loss.L2Loss()
    _, expected = plain(Tied(), values, loss, [x], [x])
    chain = Tied()
    with pipelined(chain, values, loss, (1,) * 4, 3, TWO * 2, schedule="interleaved") as pipe:
        pipe.forward_backward(x, x)
        assert chain[0].weight.list_ctx() == list(TWO)
        assert_same(gradients(chain), expected)


def test_stages_on_one_context_stop_each_other_when_one_fails():
    class Broken(gluon.Block):
        """Raises for the second micro-batch."""
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 2:
                raise KeyError("broken")
            return x

    layers = [*lstm_chain(layers=1), Broken()]
    with Pipeline(layers, Plan((1, 1, 2, 1), TWO * 2), gluon.loss.L2Loss(), 4, schedule="interleaved") as pipe:
        pipe.initialize()
        with pytest.raises(KeyError, match=r"broken \(stage 3 on cpu\(1\), forward pass of micro-batch 1, layer '4'\)"):
            pipe.forward_backward(mx.nd.array(X), mx.nd.array(Y))
        assert np.isfinite(pipe.forward_backward(mx.nd.array(X), mx.nd.array(Y)).asscalar())


def test_a_plan_whose_contexts_do_not_take_turns_is_refused_and_moves_nothing():
    chain = lstm_chain()
    chain.initialize(ctx=CONTEXTS[3])
    with pytest.raises(ValueError, match=r"by turns, as on a,b,a,b; got cpu\(0\),cpu\(1\),cpu\(1\),cpu\(0\)"):
        Pipeline(chain, Plan((1, 1, 2, 2), (*TWO, *TWO[::-1])), schedule="interleaved")
    assert {context for p in chain.collect_params().values() for context in p.list_ctx()} == {CONTEXTS[3]}


@pytest.mark.parametrize("schedule", ["1f1b", "fill_drain", "wavefront"])
def test_in_other_schedules_each_stage_keeps_its_own_order_whatever_its_context(schedule):
    plan = Plan((1, 1, 2, 2), TWO * 2)
    with pipelined(lstm_chain(), random_values(lstm_chain()), gluon.loss.L2Loss(), plan.counts, 3, plan.contexts,
                   schedule=schedule) as pipe:
        assert len({id(stage.dependency) for stage in pipe.stages}) == 4
    assert SCHEDULES[schedule](plan.contexts, 3, 1) == SCHEDULES[schedule](4, 3, 1)
    assert by_stage(SCHEDULES[schedule](4, 3, 1)) == SCHEDULES[schedule](4, 3, 1)
