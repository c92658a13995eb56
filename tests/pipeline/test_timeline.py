"""The timeline: what it records, that it changes nothing, and what it writes."""
import json
import re
import time

import mxnet as mx
import numpy as np
import pytest
from helpers.late import late
from helpers.replay import needed
from helpers.stacks import CONTEXTS, gradients, lstm_chain, random_values, set_values
from mxnet import gluon

from mxmp import Pipeline, Plan
from mxmp.pipeline import Timeline
from mxmp.schedule import SCHEDULES, Span, Unit, forward_only

X, Y = mx.nd.array(np.random.RandomState(1).randn(6, 4, 5)), mx.nd.ones((6, 4, 3))


def pipeline(counts=(2, 2, 2), microbatches=3, chunks=1, schedule="1f1b"):
    chain = lstm_chain()
    pipe = Pipeline(chain, Plan(counts, CONTEXTS[:len(counts)]), gluon.loss.L2Loss(), microbatches, chunks, schedule)
    pipe.initialize()
    set_values(chain, random_values(chain))
    return pipe


def check(spans, schedule, steps=1):
    """All units' spans, ordered by dependencies; those of one stage in its order and never at the same time."""
    assert spans == sorted(spans, key=lambda span: span.start) and all(s.start <= s.end for s in spans)
    waits = needed(schedule)
    for stage, units in enumerate(schedule):
        mine = [span for span in spans if span.unit.stage == stage]
        mine.sort(key=lambda span: (span.start, span.end))
        assert sorted(span.unit for span in mine) == sorted(units * steps)
        assert all(before.end <= after.start for before, after in zip(mine, mine[1:]))
    for step in range(steps):
        nth = {unit: [span for span in spans if span.unit == unit][step] for units in schedule for unit in units}
        for unit, span in nth.items():
            assert all(nth[other].end <= span.start for other in waits[unit])
        for units in schedule:
            assert all(nth[a].end <= nth[b].start for a, b in zip(units, units[1:]))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("chunks", [1, 2])
def test_every_unit_of_a_step_is_recorded_after_what_it_needs(schedule, chunks):
    with pipeline(chunks=chunks, schedule=schedule) as pipe, pipe.timeline() as timeline:
        pipe.forward_backward(X, Y)
    check(timeline.spans, SCHEDULES[schedule](3, 3, chunks))


def test_the_forward_units_of_an_evaluation_are_recorded():
    with pipeline() as pipe, pipe.timeline() as timeline:
        pipe(X, Y)
    check(timeline.spans, forward_only(3, 3))


def test_several_steps_follow_each_other():
    with pipeline() as pipe, pipe.timeline() as timeline:
        began = time.perf_counter()
        pipe.forward_backward(X, Y)
        mx.nd.waitall()
        second = time.perf_counter() - began
        pipe.forward_backward(X, Y)
    spans = timeline.spans
    check(spans, SCHEDULES["1f1b"](3, 3), steps=2)
    assert all(span.start > second for span in spans[18:])  # the pause between them belongs to neither


def test_a_stage_without_parameters_is_recorded_too():
    with pipeline((1, 5)) as pipe, pipe.timeline() as timeline:
        pipe.forward_backward(X, Y)
    check(timeline.spans, SCHEDULES["1f1b"](2, 3))


def test_a_stage_that_hands_on_whole_numbers_only_is_recorded_too():
    class Round(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.cast(x, "int32")

    layers = [Round(), gluon.nn.Embedding(7, 3)]
    with Pipeline(layers, Plan((1, 1), CONTEXTS[:2]), gluon.loss.L2Loss(), 3) as pipe:
        pipe.initialize()
        with pipe.timeline() as timeline:
            pipe.forward_backward(mx.nd.ones((6, 4)), Y)
    check(timeline.spans, SCHEDULES["1f1b"](2, 3))


def test_the_times_are_those_of_the_work_and_no_step_waits_for_it():
    with pipeline() as pipe:
        pipe.forward_backward(X, Y)
        mx.nd.waitall()
        with pipe.timeline() as timeline, late(X) as (x,):
            began = time.perf_counter()
            pipe.forward_backward(x, Y)
            issued = time.perf_counter()
    first, *others = timeline.spans
    assert first.unit == Unit("F", 0, 0) and first.end > issued - began
    assert all(span.start > issued - began for span in others)


def test_nothing_is_recorded_before_and_after():
    with pipeline() as pipe:
        assert pipe._timeline is None
        pipe.forward_backward(X, Y)
        with pipe.timeline() as timeline:
            pipe.forward_backward(X, Y)
        spans = timeline.spans
        pipe.forward_backward(X, Y)
        assert len(spans) == 18 and timeline.spans == spans


def test_stop_ends_a_recording_and_another_one_may_follow():
    with pipeline() as pipe:
        first = pipe.timeline()
        pipe.forward_backward(X, Y)
        first.stop()
        pipe.forward_backward(X, Y)
        with pipe.timeline() as second:
            pipe(X, Y)
    check(first.spans, SCHEDULES["1f1b"](3, 3))
    check(second.spans, forward_only(3, 3))


@pytest.mark.parametrize("chunks", [1, 2])
def test_recording_changes_no_bit_of_loss_gradients_and_outputs(chunks):
    results = []
    for record in (False, True):
        with pipeline(chunks=chunks) as pipe:
            timeline = pipe.timeline() if record else None
            total = pipe.forward_backward(X, Y)
            results.append({**gradients(pipe.chain), "loss": total.asnumpy(), "outputs": pipe(X).asnumpy()})
    assert len(timeline.spans) == chunks * (18 + 9)
    assert results[0].keys() == results[1].keys()
    for name, expected in results[0].items():
        np.testing.assert_array_equal(results[1][name], expected, err_msg=name)


def test_a_failed_step_does_not_spoil_the_recording():
    with pipeline() as pipe, pipe.timeline() as timeline:
        with pytest.raises(mx.MXNetError):
            pipe.forward_backward(mx.nd.ones((6, 4, 9)), Y)
        pipe.forward_backward(X, Y)
    units = [span.unit for span in timeline.spans]
    assert {unit for units in SCHEDULES["1f1b"](3, 3) for unit in units} <= set(units)


GIVEN = [Span(Unit("F", 0, 0), 1.0, 3.0), Span(Unit("F", 1, 0), 3.0, 4.0), Span(Unit("F", 0, 1), 3.0, 5.0),
         Span(Unit("F", 1, 1), 5.0, 6.0)]


@pytest.fixture
def given(monkeypatch):
    monkeypatch.setattr(Timeline, "spans", GIVEN)
    return Timeline(CONTEXTS[:2])


def test_the_busy_share_is_work_over_stages_times_length(given):
    assert given.busy_share() == pytest.approx((2 + 1 + 2 + 1) / (2 * (6 - 1)))


@pytest.mark.parametrize("microbatches, chunks", [(2, 1), (2, 3)])
def test_the_ideal_share_is_the_schedules(monkeypatch, microbatches, chunks):
    spans = [Span(unit, 0.0, 1.0) for units in forward_only(3, microbatches, chunks) for unit in units]
    monkeypatch.setattr(Timeline, "spans", spans)
    assert Timeline(CONTEXTS[:3]).ideal_share() == pytest.approx(microbatches * chunks / (microbatches * chunks + 2))


def test_a_picture_is_written(given, tmp_path):
    given.save(str(tmp_path / "step.png"))
    assert (tmp_path / "step.png").read_bytes().startswith(b"\x89PNG")
    given.save(str(tmp_path / "step.svg"))
    text = (tmp_path / "step.svg").read_text()
    assert "<!-- 2 contexts busy 60% of the time (ideal with equal stages: 67%) -->" in text
    assert "<!-- cpu(0) -->" in text and "<!-- cpu(1) -->" in text


def test_a_trace_has_an_event_per_unit_on_its_contexts_thread(tmp_path):
    path = tmp_path / "step.json"
    with pipeline(chunks=2) as pipe, pipe.timeline() as timeline:
        pipe.forward_backward(X, Y)
    timeline.save_trace(str(path))
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert names == {0: "cpu(0)", 1: "cpu(1)", 2: "cpu(2)"}
    units = [e for e in events if e["ph"] != "M"]
    assert {e["ph"] for e in units} == {"X"} and len({e["pid"] for e in events}) == 1
    assert all(e["ts"] >= 0 and e["dur"] >= 0 for e in units)
    found = {Unit("FB"[e["cat"] == "backward"], e["tid"], e["args"]["microbatch"], e["args"]["chunk"]): e
             for e in units}
    assert sorted(found) == sorted(u for stage in SCHEDULES["1f1b"](3, 3, 2) for u in stage) and len(units) == 36
    assert all(event["name"] == str(unit) for unit, event in found.items())


def test_a_traces_times_are_microseconds(given, tmp_path):
    path = tmp_path / "step.json"
    given.save_trace(str(path))
    events = [e for e in json.loads(path.read_text(encoding="utf-8"))["traceEvents"] if e["ph"] == "X"]
    assert [(e["ts"], e["dur"]) for e in events] == [(1e6, 2e6), (3e6, 1e6), (3e6, 2e6), (5e6, 1e6)]
    assert {e["cat"] for e in events} == {"forward"}


@pytest.mark.parametrize("use", [lambda t, path: t.spans, lambda t, path: t.busy_share(), lambda t, path: t.save(path),
                                 lambda t, path: t.save_trace(path)], ids=["spans", "busy_share", "save", "trace"])
def test_a_recording_of_nothing_is_an_error(use, tmp_path):
    with pytest.raises(ValueError, match="nothing was recorded"):
        use(Timeline(CONTEXTS[:2]), str(tmp_path / "none.png"))
    assert not list(tmp_path.iterdir())


def test_interleaved_stages_are_drawn_in_their_contexts_rows(tmp_path):
    plan = Plan((1, 1, 2, 2), CONTEXTS[:2] * 2)
    with Pipeline(lstm_chain(), plan, gluon.loss.L2Loss(), 3, schedule="interleaved") as pipe:
        pipe.initialize()
        with pipe.timeline() as timeline:
            pipe.forward_backward(X, Y)
    spans, rows = timeline.spans, SCHEDULES["interleaved"](plan.contexts, 3, 1)
    assert timeline.contexts == tuple(CONTEXTS[:2])
    for row, units in enumerate(rows):
        mine = sorted((span for span in spans if span.unit.stage % 2 == row), key=lambda span: (span.start, span.end))
        assert [span.unit for span in mine] == units
        assert all(before.end <= after.start for before, after in zip(mine, mine[1:]))
    assert timeline.ideal_share() == pytest.approx(3 * 2 / (3 * 2 + 1))
    timeline.save(str(tmp_path / "step.svg"))
    assert re.findall(r"<!-- (cpu.*?) -->", (tmp_path / "step.svg").read_text()) == ["cpu(0)", "cpu(1)"]
    timeline.save_trace(str(tmp_path / "step.json"))
    events = json.loads((tmp_path / "step.json").read_text(encoding="utf-8"))["traceEvents"]
    assert {(event["name"], event["tid"]) for event in events if event["ph"] == "X"} == {
        (f"{unit.stage}{unit}", row) for row, units in enumerate(rows) for unit in units}
