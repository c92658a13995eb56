"""Steps: stages that work at the same time, that wait for nothing, and that fail without hanging."""
import threading

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, lstm_chain, pipelined, random_values
from mxnet import gluon

from mxmp import Pipeline, Plan, Trainer
from mxmp.nn import Chain, LSTMLayer, TimeFirst


def batch(rows=8):
    rng = np.random.RandomState(1)
    return mx.nd.array(rng.randn(rows, 4, 5)), mx.nd.array(rng.randn(rows, 4, 3))


def test_stages_work_at_the_same_time():
    chain = Chain()
    chain.add(TimeFirst(), *[LSTMLayer(128, input_size=128) for _ in range(2)], TimeFirst())
    data = mx.nd.ones((128, 20, 128))
    with Pipeline(chain, Plan((2, 2), CONTEXTS[:2]), gluon.loss.L2Loss(), 8) as pipe:
        pipe.initialize()
        pipe.forward_backward(data, data)  # the first step also compiles
        with pipe.timeline() as timeline:
            pipe.forward_backward(data, data)
        first, second = ([s for s in timeline.spans if s.unit.stage == stage] for stage in (0, 1))
    assert any(a.start < b.end and b.start < a.end for a in first for b in second)


class Gate(mx.operator.CustomOp):
    """Hands its input on once the gate is open."""

    is_open = threading.Event()

    def forward(self, is_train, req, in_data, out_data, aux):
        self.is_open.wait()
        self.assign(out_data[0], req[0], in_data[0])


@mx.operator.register("mxmp_test_gate")
class GateProp(mx.operator.CustomOpProp):
    """MXNet's description of `Gate`."""

    def create_operator(self, ctx, shapes, dtypes):
        return Gate()


def test_a_training_step_returns_while_its_inputs_are_not_there_yet():
    x, y = batch()
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 4) as pipe:
        trainer = Trainer(pipe, "adam", clip_norm=1.0)
        pipe.forward_backward(x, y)
        trainer.step(8)
        mx.nd.waitall()
        Gate.is_open.clear()
        late = threading.Timer(60, Gate.is_open.set)  # a step that waits would hang: open, and fail below
        late.start()
        held = mx.nd.Custom(x, op_type="mxmp_test_gate")
        pipe.seed(1)
        loss = pipe.forward_backward(held, y)
        norm = trainer.step(8)
        waited = Gate.is_open.is_set()
        Gate.is_open.set()
        late.cancel()
        assert not waited
        assert np.isfinite(loss.asscalar()) and np.isfinite(norm.asscalar())


def test_mistakes_are_named():
    chain = lstm_chain()
    with pytest.raises(ValueError, match="places 5 layers, but the chain has 6"):
        Pipeline(chain, Plan((2, 3), CONTEXTS[:2]))
    with pytest.raises(ValueError, match="num_microbatches must be at least 1, got 0"):
        Pipeline(chain, Plan((3, 3), CONTEXTS[:2]), num_microbatches=0)
    with pytest.raises(ValueError, match="num_chunks must be at least 1, got -1"):
        Pipeline(chain, Plan((3, 3), CONTEXTS[:2]), num_chunks=-1)
    with pytest.raises(ValueError, match="unknown schedule 'gpipe'; choose one of '1f1b', 'fill_drain', 'wavefront'"):
        Pipeline(chain, Plan((3, 3), CONTEXTS[:2]), schedule="gpipe")
    with pytest.raises(ValueError, match="unknown layout 'NCT'; choose one of 'NTC', 'TNC'"):
        Pipeline(chain, Plan((3, 3), CONTEXTS[:2]), layout="NCT")
    with pipelined(chain, random_values(chain), None, (3, 3), 1) as pipe:
        with pytest.raises(RuntimeError, match="no loss"):
            pipe.forward_backward(*batch())
        with pytest.raises(ValueError, match="different batch axes"):
            pipe((batch(8)[0], batch(7)[0]))


def test_one_block_is_not_a_chain():
    with pytest.raises(ValueError, match="Dense is one block, not a chain"):
        Pipeline(gluon.nn.Dense(3), Plan((1,), CONTEXTS[:1]))


def test_labels_of_another_batch_size_are_an_error():
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 2) as pipe:
        with pytest.raises(ValueError, match="different batch axes"):
            pipe.forward_backward(batch(8)[0], batch(7)[1])
