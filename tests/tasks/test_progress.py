"""Progress: the loss per token over several steps."""
import mxnet as mx
import pytest

from mxmp.tasks.progress import Meter


def test_losses_are_divided_once_by_all_tokens():
    meter = Meter()
    for loss, norm, tokens, counted in ((10.0, 1.0, 4, 9), (50.0, 3.0, 6, 11)):
        meter.add(mx.nd.array([loss]), mx.nd.array([norm]), tokens, counted)
    loss, norm, seconds = meter.read()
    assert (loss, norm, meter.counted) == (pytest.approx(60 / 10), 3.0, 20) and seconds > 0
