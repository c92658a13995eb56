"""The order in which the engine runs what was issued, noted by operators of the tests' own."""
import threading

import mxnet as mx
import numpy as np
import pytest
from helpers.late import SECONDS, late
from helpers.stacks import CONTEXTS
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.pipeline.cut import Feed
from mxmp.pipeline.dependency import Dependency
from mxmp.pipeline.errors import StageProbes
from mxmp.pipeline.packed import pack
from mxmp.pipeline.stage import Stage
from mxmp.pipeline.stage_step import StageStep
from mxmp.schedule import SCHEDULES, Unit

LOG = []  # what the engine has run: (direction, layer, micro-batch)


class NoteOp(mx.operator.CustomOp):
    """Hands its input on and notes that it was run; the input's values are the micro-batch's number."""

    def __init__(self, layer):
        super().__init__()
        self._layer = layer

    def forward(self, is_train, req, in_data, out_data, aux):
        LOG.append(("F", self._layer, int(in_data[0].asnumpy().flat[0])))
        self.assign(out_data[0], req[0], in_data[0])

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        LOG.append(("B", self._layer, int(in_data[0].asnumpy().flat[0])))
        self.assign(in_grad[0], req[0], out_grad[0])


@mx.operator.register("mxmp_test_note")
class NoteProp(mx.operator.CustomOpProp):
    """MXNet's description of `NoteOp`."""

    def __init__(self, layer):
        super().__init__()
        self._layer = layer

    def create_operator(self, ctx, shapes, dtypes):
        return NoteOp(self._layer)


class Noted(gluon.HybridBlock):
    """A layer that hands on what it gets, and has a weight of 1 so that it must go backward."""

    def __init__(self, name):
        super().__init__()
        self._noted = name
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(1, 1), init="ones")

    def hybrid_forward(self, F, x, weight):
        x = F.FullyConnected(x, weight, num_hidden=1, no_bias=True)
        return F.Custom(x, op_type="mxmp_test_note", layer=self._noted)


@pytest.fixture(autouse=True)
def _empty_log():
    LOG.clear()


def numbered(microbatches, rows=2):
    """Rows whose value is the number of the micro-batch that they will be in."""
    return mx.nd.array(np.repeat(np.arange(microbatches), rows)).reshape((-1, 1))


class First(Noted):
    """Works on its first input, and hands the second on as it is."""

    def hybrid_forward(self, F, x, other, weight):
        return super().hybrid_forward(F, x, weight), other


class Last(Noted):
    """Hands its first input on as it is, and works on the second."""

    def hybrid_forward(self, F, other, x, weight):
        return other, super().hybrid_forward(F, x, weight)


def run_a_stage(training, kind=Noted, recompute=False):
    """Four micro-batches' forward passes through a stage of two layers, and in training their backward passes."""
    layers = {name: kind(name) for name in ("first", "second")}
    for layer in layers.values():
        layer.initialize()
        layer.hybridize()
    other = mx.nd.ones((2, 1))
    feed = Feed({}, None, "NTC", [2] * 4, [0], [True] * (1 if kind is Noted else 2) if training else None)
    lasting = Stage(0, layers, CONTEXTS[0])
    lasting.recompute = recompute
    stage = StageStep(lasting, SCHEDULES["fill_drain"](1, 4)[0], feed)
    with late(*(mx.nd.full((2, 1), m) for m in range(4))) as inputs:
        for m in range(4):
            arrays = {Noted: [inputs[m]], First: [inputs[m], other], Last: [other, inputs[m]]}[kind]
            stage.forward(Unit("F", 0, m), pack(arrays, ""))
        for m in range(4) if training else ():
            stage.backward(Unit("B", 0, m), [other] * len(arrays))


FORWARDS = [("F", name, m) for m in range(4) for name in ("first", "second")]
BACKWARDS = [("B", name, m) for m in range(4) for name in ("second", "first")]


@pytest.mark.parametrize("training", [False, True])
def test_a_stage_ends_a_unit_before_it_begins_the_next(training):
    run_a_stage(training)
    assert LOG == FORWARDS + (BACKWARDS if training else [])


@pytest.mark.parametrize("kind", [First, Last])
@pytest.mark.parametrize("training", [False, True])
def test_a_unit_ends_with_all_of_its_arrays(training, kind):
    run_a_stage(training, kind)
    assert LOG == FORWARDS + (BACKWARDS if training else [])


@pytest.mark.parametrize("kind", [Noted, First, Last])
def test_what_runs_again_waits_for_the_unit_before_too(kind):
    run_a_stage(True, kind, recompute=True)
    again = [FORWARDS[2 * m:2 * m + 2] if m < 3 else [] for m in range(4)]  # the last one's activations are there
    assert LOG == FORWARDS + [each for m in range(4) for each in [*again[m], *BACKWARDS[2 * m:2 * m + 2]]]


def test_left_alone_the_engine_would_run_the_first_layer_for_all_microbatches_first(monkeypatch):
    """What the order is for: should MXNet change its mind, it is needed no longer."""
    monkeypatch.setattr(Dependency, "enter", lambda *args: None)
    first_layers = threading.Barrier(4, timeout=SECONDS)

    def forward(self, is_train, req, in_data, out_data, aux):
        if self._layer == "first":  # goes on once all four are at work, as they never are in order
            first_layers.wait()
        LOG.append(("F", self._layer, int(in_data[0].asnumpy().flat[0])))
        self.assign(out_data[0], req[0], in_data[0])

    monkeypatch.setattr(NoteOp, "forward", forward)
    run_a_stage(training=False)
    assert sorted(LOG) == sorted(FORWARDS)


def run_a_pipeline(stages, microbatches, schedule, steps=1, frozen=()):
    """What each stage's layer did, in the engine's order, if all was issued before anything could run."""
    layers = [Noted(str(i)) for i in range(stages)]
    plan = Plan((1,) * stages, CONTEXTS[:stages])
    with Pipeline(layers, plan, lambda out: out, microbatches, schedule=schedule) as pipe:
        pipe.initialize()
        for stage in frozen:
            layers[stage].weight.grad_req = "null"
        with late(*[numbered(microbatches)] * steps) as batches:
            for batch in batches:
                pipe.forward_backward(batch)
    return [[(kind, m) for kind, name, m in LOG if name == str(stage)] for stage in range(stages)]


@pytest.mark.parametrize("schedule", ["1f1b", "fill_drain"])
def test_the_engine_runs_each_stages_units_in_the_schedules_order(schedule):
    for actual, units in zip(run_a_pipeline(3, 6, schedule), SCHEDULES[schedule](3, 6)):
        assert actual == [(unit.kind, unit.microbatch) for unit in units]


def test_1f1b_never_has_more_microbatches_in_a_stage_than_stages_from_there_on():
    for stage, done in enumerate(run_a_pipeline(3, 8, "1f1b", steps=2)):
        live = np.cumsum([1 if kind == "F" else -1 for kind, _ in done])
        assert len(live) == 2 * 2 * 8 and live.max() == 3 - stage and live.min() == 0


def test_1f1b_does_not_run_ahead_in_a_frozen_first_stage():
    run_a_pipeline(3, 8, "1f1b", frozen=[0])
    for m in range(5):  # B0 of the second stage comes before B0 of the first one, which comes before F3
        assert LOG.index(("B", "1", m)) < LOG.index(("F", "0", m + 3))


def test_a_step_begins_where_the_one_before_it_ended():
    assert run_a_pipeline(2, 2, "fill_drain", steps=2) == [[("F", 0), ("F", 1), ("B", 1), ("B", 0)] * 2] * 2


def ordered(result, arrays):
    """Arrays that wait for a unit of the given result."""
    dependency = Dependency(CONTEXTS[0])
    dependency.leave([result])
    dependency.enter(arrays)
    return arrays


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("result", ["float16", "float64", "int32"])
def test_values_and_types_stay_as_they_are(dtype, result):
    (array,) = ordered(mx.nd.array([7], dtype=result), [mx.nd.array([[3, 1], [2, 5]], dtype=dtype)])
    assert array.dtype == np.dtype(dtype).type and array.asnumpy().tolist() == [[3, 1], [2, 5]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("result", [1.0, np.nan, np.inf, -np.inf, 1e300])
def test_neither_a_results_value_nor_an_arrays_makes_a_difference(dtype, result):
    values = np.array([np.nan, np.inf, -np.inf, 1e-7, 0.1], dtype)
    arrays = [mx.nd.array(np.roll(values, i), dtype=dtype) for i in range(len(values))]
    ordered(mx.nd.array([result], dtype="float64"), arrays)
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(array.asnumpy(), np.roll(values, i))


def test_a_negative_zero_stays_negative():
    (array,) = ordered(mx.nd.ones((1,)), [mx.nd.array([-0.0])])
    assert np.signbit(array.asnumpy()).all()


def test_a_large_number_is_kept_to_its_last_digit():
    (array,) = ordered(mx.nd.ones((1,)), [mx.nd.array([2 ** 53 + 2], dtype="int64")])
    assert array.asnumpy().tolist() == [2 ** 53 + 2]


def test_a_token_of_a_recorded_array_is_not_recorded():
    x, dependency = mx.nd.ones((2,)), Dependency(CONTEXTS[0])
    probes, unit = StageProbes("stage 0", CONTEXTS[0], dependency, 1), Unit("F", 0, 0)
    x.attach_grad()
    with autograd.record():
        probes.add(unit, "a layer", [x * 2])
        dependency.leave([x * 2])
    for token in (probes.by_unit[unit][0].array, dependency.latest()):
        with pytest.raises(mx.MXNetError):
            autograd.get_symbol(token)
