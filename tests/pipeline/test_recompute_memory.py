"""What recomputation leaves alive: of each stage the graph of one unit, and of the others what they were given."""
import gc
import time
from weakref import WeakSet

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import pipelined
from mxnet import autograd, gluon

from mxmp.nn import Chain


class Copied(autograd.Function):
    """A copy that lives as long as the graph that it is part of."""

    def forward(self, x):
        return x * 1

    def backward(self, grad):
        return grad * 1


class Watched(gluon.Block):
    """Counts its calls, and the graphs of earlier ones that are alive when it is called."""

    def __init__(self):
        super().__init__()
        self.alive, self.most, self.calls = WeakSet(), 0, 0

    def forward(self, x):
        mx.nd.waitall()  # graphs live until what was issued of them is done
        for _ in range(10):  # and a little longer, in threads of MXNet's
            gc.collect()
            if len(self.alive) <= 1:
                break
            time.sleep(0.01)
        self.most, self.calls = max(self.most, len(self.alive)), self.calls + 1
        copied = Copied()
        self.alive.add(copied)
        return copied(x)


class WatchedLoss(Watched):
    """The same of a loss."""

    def forward(self, outputs, labels):
        return (super().forward(outputs) - labels).square().mean(axis=(1, 2))


def watched(recompute, schedule, microbatches, chunks):
    """The most graphs beside the one being made, and the calls, of both stages' layers and of the loss."""
    chain, loss, rng = Chain(), WatchedLoss(), np.random.RandomState(0)
    chain.add(Watched(), Watched())
    data, labels = (mx.nd.array(rng.randn(12, 8, 5)) for _ in range(2))
    data.attach_grad()  # else the layers, which have no parameters, would be part of no graph
    with pipelined(chain, {}, loss, (1, 1), microbatches, num_chunks=chunks, schedule=schedule,
                   recompute=recompute) as pipe:
        pipe.forward_backward(data, labels).wait_to_read()
    blocks = [*chain.layers.values(), loss]
    return [block.most for block in blocks], [block.calls for block in blocks]


@pytest.mark.parametrize("schedule, microbatches, chunks, most, again", [
    ("fill_drain", 4, 1, [3, 3, 3], [3, 3, 3]), ("wavefront", 1, 4, [3, 3, 0], [3, 3, 0]),
    ("wavefront", 2, 3, [5, 5, 1], [5, 5, 1]), ("1f1b", 4, 1, [1, 0, 0], [4, 0, 0])])
def test_one_graph_is_alive_in_each_stage(schedule, microbatches, chunks, most, again):
    calls = [microbatches * chunks, microbatches * chunks, microbatches]
    alive, called = watched(False, schedule, microbatches, chunks)
    assert called == calls and all(found >= expected for found, expected in zip(alive, most))
    alive, called = watched(True, schedule, microbatches, chunks)
    assert called == [first + second for first, second in zip(calls, again)]
    assert max(alive) <= 1  # the latest that has gone backward may be on its way out


def test_stages_are_chosen_one_by_one():
    assert [most <= 1 for most in watched((True, False), "fill_drain", 4, 1)[0]] == [True, False, False]
    assert [most <= 1 for most in watched([False, True], "fill_drain", 4, 1)[0]] == [False, True, True]


@pytest.mark.parametrize("wrong", [1, "yes", (True,), (True, 0), None])
def test_what_is_not_a_bool_for_each_stage_is_refused(wrong):
    with pytest.raises(ValueError, match="recompute must be True, False or a bool for each of the 2 stages"):
        watched(wrong, "1f1b", 1, 1)
