"""Where in the pipeline an error happened: units in words, and the probes that are reached or not."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS

from mxmp.pipeline.dependency import Dependency
from mxmp.pipeline.errors import StageProbes, located
from mxmp.schedule import Unit


def probes_of(stage, context, size):
    return StageProbes(stage, context, Dependency(context), size)


def test_a_unit_is_described_in_words_and_its_probes_are_kept():
    probes, unit = probes_of("stage 1 on cpu(1)", CONTEXTS[1], 3), Unit("B", 1, 3, 2)
    assert probes.describe(unit) == "stage 1 on cpu(1), backward pass of micro-batch 3, chunk 2"
    assert probes.describe(Unit("F", 1, 0)) == "stage 1 on cpu(1), forward pass of micro-batch 0"
    probes.add(unit, "layer 'a'", [mx.nd.array([4, 5])])
    probes.add(unit, "layer 'b'", [])
    probes.add(unit, "layer 'c'", [mx.nd.array([np.nan])])
    (place, reached, position), (other_place, _, other_position) = probes.by_unit[unit]
    assert (place, position) == (probes.describe(unit) + ", layer 'a'", 0)
    assert (other_place, other_position) == (probes.describe(unit) + ", layer 'c'", 1)
    assert reached.asnumpy().tolist() == [0, 0, 1]


@pytest.mark.parametrize("error, message", [
    (ValueError("wrong"), "wrong (here)"), (ValueError(), "ValueError (here)"),
    (RuntimeError("wrong\nstack"), "wrong\nstack\n(here)"), (KeyError("a", "b"), "a (here)")])
def test_an_error_goes_on_as_itself_with_its_place(error, message):
    with pytest.raises(type(error)) as raised, located("here"):
        raise error
    assert raised.value is error and error.args[0] == message
