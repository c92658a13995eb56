"""The timeline: what it records and that it draws."""
import mxnet as mx
import pytest
from mxnet import gluon
from stacks import lstm_chain, pipelined, random_values

from mxmp.pipeline import Timeline, Unit, fill_drain
from mxmp.pipeline.timeline import Span


def test_every_unit_of_a_step_is_recorded_after_what_it_needs(tmp_path):
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 2) as pipe:
        pipe.timeline = Timeline()
        pipe.forward_backward(mx.nd.ones((4, 4, 5)), mx.nd.ones((4, 4, 3)))
    spans = {span.unit: span for span in pipe.timeline.spans}
    assert set(spans) == {unit for units in fill_drain(2, 2) for unit in units}
    for m in range(2):
        assert spans[Unit("F", 0, m)].end <= spans[Unit("F", 1, m)].start
        assert spans[Unit("B", 1, m)].end <= spans[Unit("B", 0, m)].start
    pipe.timeline.save(str(tmp_path / "step.png"), pipe.plan.contexts)
    assert (tmp_path / "step.png").read_bytes().startswith(b"\x89PNG")


def test_the_busy_share_is_work_over_stages_times_length():
    timeline = Timeline()
    timeline.spans = [Span(Unit("F", 0, 0), 1.0, 2.0), Span(Unit("F", 1, 0), 2.0, 3.0)]
    assert timeline.busy_share() == pytest.approx(0.5)


def test_a_picture_of_nothing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nothing was recorded"):
        Timeline().save(str(tmp_path / "none.png"))
