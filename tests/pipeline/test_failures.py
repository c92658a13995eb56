"""Errors reach the caller as themselves with their place; nothing hangs, and the pipeline can be used again."""
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from helpers.operators import Picky
from helpers.stacks import CONTEXTS, assert_same, gradients, lstm_chain, pipelined, random_values
from mxnet import gluon

from mxmp import Pipeline, Plan, Trainer

X, Y = (np.random.RandomState(1).randn(*shape) for shape in ((8, 4, 5), (8, 4, 3)))


def batch():
    return mx.nd.array(X), mx.nd.array(Y)


class Fragile(mx.operator.CustomOp):
    """Fails in the engine, long after it was issued, in its n-th forward or backward execution from now."""

    countdown = {"forward": 0, "backward": 0}

    def forward(self, is_train, req, in_data, out_data, aux):
        self.work("forward", out_data[0], req[0], in_data[0])

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.work("backward", in_grad[0], req[0], out_grad[0])

    def work(self, direction, to, req, value):
        self.countdown[direction] -= 1
        if self.countdown[direction] == 0:
            raise ValueError("this operator is broken")
        self.assign(to, req, value)


@mx.operator.register("mxmp_test_fragile")
class FragileProp(mx.operator.CustomOpProp):
    """MXNet's description of `Fragile`."""

    def create_operator(self, ctx, shapes, dtypes):
        return Fragile()


class FragileLayer(gluon.HybridBlock):
    """`Fragile` as a layer."""

    def hybrid_forward(self, F, x):
        return F.Custom(x, op_type="mxmp_test_fragile")


def with_layer(block, place, counts=(1, 1, 3), **options):
    """A pipeline of five layers, the block at the given place."""
    layers = list(lstm_chain(layers=1))
    layers.insert(place, block)
    pipe = Pipeline(layers, Plan(counts, CONTEXTS[:len(counts)]), gluon.loss.L2Loss(), 4, **options)
    pipe.initialize(mx.init.Uniform(0.5))
    return pipe


@pytest.mark.parametrize("schedule", ["1f1b", "fill_drain", "wavefront", "interleaved"])
@pytest.mark.parametrize("place, stage", [(0, 0), (1, 1), (3, 2)])
def test_an_exception_has_its_stage_layer_and_microbatch_and_the_pipeline_goes_on(place, stage, schedule):
    picky = Picky()
    with with_layer(picky, place, schedule=schedule) as pipe:
        expected = pipe.forward_backward(*batch()).asnumpy()
        grads = gradients(pipe.chain)
        picky.countdown = 3
        with pytest.raises(KeyError, match=rf"this layer is broken \(stage {stage} on cpu\({stage}\), forward pass of "
                                           rf"micro-batch 2, layer '{place}'\)"):
            pipe.forward_backward(*batch())
        np.testing.assert_array_equal(pipe.forward_backward(*batch()).asnumpy(), expected)
        assert_same(gradients(pipe.chain), grads, rtol=0, atol=0)


def test_a_bad_shape_is_named():
    chain = lstm_chain()
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 2) as pipe:
        with pytest.raises(mx.MXNetError, match="stage 0 on cpu.0., forward pass of micro-batch 0, layer '1'"):
            pipe.forward_backward(mx.nd.ones((8, 4, 7)), batch()[1])
        with pytest.raises(mx.MXNetError, match="stage 1 on cpu.1., forward pass of micro-batch 0, the loss"):
            pipe.forward_backward(batch()[0], mx.nd.ones((8, 4, 2)))
        assert np.isfinite(pipe.forward_backward(*batch()).asscalar())


def test_an_error_in_the_loss_says_what_it_was_called_with():
    data, label = mx.nd.ones((4, 9, 5)), mx.nd.ones((4, 3))
    with Pipeline([gluon.nn.HybridSequential()], Plan((1,), CONTEXTS[:1]), gluon.loss.CTCLoss(), 2) as pipe:
        with pytest.raises(mx.MXNetError, match=r"the loss, called with the chain's outputs, of shapes \[\(2, 9, 5\)\]"
                                                r", and then the labels, of shapes \[\(2,\), \(2, 3\)\]"):
            pipe(data, (mx.nd.full((4,), 3), label))


@pytest.mark.parametrize("schedule", ["1f1b", "fill_drain"])
@pytest.mark.parametrize("read", [
    lambda pipe, loss: loss.asscalar(), lambda pipe, loss: loss.wait_to_read(), lambda pipe, loss: pipe.wait(),
    lambda pipe, loss: sum([loss, loss]).asscalar(), lambda pipe, loss: (mx.nd.ones((1,)) + loss / 8).asnumpy(),
    lambda pipe, loss: loss[0:1].asnumpy(), lambda pipe, loss: loss[0].asscalar(),
    lambda pipe, loss: (2 * loss - 1).mean().exp().wait_to_read(), lambda pipe, loss: loss.astype("float64").asscalar(),
    lambda pipe, loss: loss.as_in_context(CONTEXTS[3]).asscalar()],
    ids=["asscalar", "wait_to_read", "wait", "sum", "added", "slice", "index", "exp", "astype", "context"])
def test_an_error_in_the_engine_is_named_where_the_loss_is_waited_for(schedule, read):
    with with_layer(FragileLayer(), 1, (1, 4), schedule=schedule) as pipe:
        expected = pipe.forward_backward(*batch()).asnumpy()
        Fragile.countdown["forward"] = 3
        loss = pipe.forward_backward(*batch())  # returns: nothing has waited
        with pytest.raises(mx.MXNetError, match="stage 1 on cpu.1., forward pass of micro-batch 2, layer '1'"):
            read(pipe, loss)
        np.testing.assert_array_equal(pipe.forward_backward(*batch()).asnumpy(), expected)


def test_a_sum_over_steps_names_the_place_in_the_step_that_failed():
    with with_layer(FragileLayer(), 1, (1, 4)) as pipe:
        total = pipe.forward_backward(*batch()) / 8
        expected = total.asscalar()
        Fragile.countdown["forward"] = 6
        for _ in range(2):
            total = total + pipe.forward_backward(*batch()) / 8
        with pytest.raises(mx.MXNetError, match="stage 1 on cpu.1., forward pass of micro-batch 1, layer '1'"):
            total.asnumpy()
        total = pipe.forward_backward(*batch()) / 8
        total += pipe.forward_backward(*batch()) / 8
        np.testing.assert_allclose(total.asscalar(), 2 * expected, 1e-6)


@pytest.mark.parametrize("read", [lambda pipe, out: mx.nd.waitall(), lambda pipe, out: out.wait_to_read(),
                                  lambda pipe, out: mx.nd.stack(out, out).asnumpy()], ids=["waitall", "out", "stack"])
@pytest.mark.parametrize("ask", [lambda pipe, out: pipe.wait(), lambda pipe, out: (out[0] + 1).asnumpy()],
                         ids=["wait", "loss"])
def test_where_something_else_waited_for_a_failed_step_the_place_is_told_afterwards(read, ask):
    with with_layer(FragileLayer(), 1, (1, 4)) as pipe:
        expected = pipe.forward_backward(*batch()).asnumpy()
        Fragile.countdown["forward"] = 3
        loss = pipe.forward_backward(*batch())
        with pytest.raises(mx.MXNetError):
            read(pipe, mx.nd.identity(loss))
        with pytest.raises(RuntimeError, match="failed; its error was raised where something else waited for its "
                                               r"results \(stage 1 on cpu.1., forward pass of micro-batch 2, layer"):
            ask(pipe, loss)
        pipe.wait()
        np.testing.assert_array_equal(pipe.forward_backward(*batch()).asnumpy(), expected)


def test_an_error_in_the_engines_backward_pass_is_named():
    with with_layer(FragileLayer(), 2, (2, 3), schedule="fill_drain") as pipe:
        pipe.forward_backward(*batch())
        pipe.wait()
        Fragile.countdown["backward"] = 2
        loss = pipe.forward_backward(*batch())
        with pytest.raises(mx.MXNetError, match="stage 1 on cpu.1., backward pass of micro-batch 2, one of the layers "
                                                "'2', '3', '4'"):
            loss.asscalar()
        pipe.forward_backward(*batch())
        pipe.wait()


def test_the_place_is_that_of_the_first_step_that_failed():
    with with_layer(FragileLayer(), 2, (2, 3)) as pipe:
        trainer = Trainer(pipe, "sgd", {"learning_rate": 0.1})
        Fragile.countdown["backward"] = 3
        for _ in range(3):
            loss = pipe.forward_backward(*batch())
            trainer.step(8)
        with pytest.raises(mx.MXNetError, match="backward pass of micro-batch 2, one of the layers '2', '3', '4'"):
            loss.asscalar()


@pytest.mark.parametrize("updated", [False, True])
@pytest.mark.parametrize("save", ["save_parameters", "save_states"])
def test_an_error_that_nobody_waited_for_leaves_the_older_file_and_is_raised_with_its_place(tmp_path, save, updated):
    path = tmp_path / "file"
    with with_layer(FragileLayer(), 2, (2, 3)) as pipe:
        trainer = Trainer(pipe, "sgd", {"learning_rate": 0.1, "momentum": 0.9})
        pipe.forward_backward(*batch())
        trainer.step(8)
        getattr({"save_parameters": pipe, "save_states": trainer}[save], save)(str(path))
        old = path.read_bytes()
        Fragile.countdown["backward"] = 2
        pipe.forward_backward(*batch())
        if updated:
            trainer.step(8)
        with pytest.raises(mx.MXNetError, match="stage 1 on cpu.1., backward pass of micro-batch 1, one of"):
            getattr({"save_parameters": pipe, "save_states": trainer}[save], save)(str(path))
        assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


def test_ctrl_c_ends_a_step_and_the_pipeline_goes_on():
    class Slow(gluon.Block):
        """Takes its time while it is issued."""

        seconds = 0.0

        def forward(self, x):
            time.sleep(self.seconds)
            return x

    slow = Slow()
    with with_layer(slow, 0, (1, 4)) as pipe:
        expected = pipe.forward_backward(*batch()).asnumpy()
        slow.seconds = 0.2
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            with pytest.raises(KeyboardInterrupt):
                pipe.forward_backward(*batch())
        finally:
            signal.signal(signal.SIGINT, handler)
        slow.seconds = 0.0
        np.testing.assert_array_equal(pipe.forward_backward(*batch()).asnumpy(), expected)


@pytest.mark.parametrize("ending", ["pipe.close()", "del pipe", "pass", "raise SystemExit(0)"])
def test_a_program_ends_without_a_warning_whether_or_not_it_closes_the_pipeline(ending):
    program = f"""
from mxmp import runtime
runtime.configure(1)
import mxnet as mx
from mxmp import Pipeline, Plan
layers = [mx.gluon.nn.Dense(4, in_units=4) for _ in range(2)]
pipe = Pipeline(layers, Plan((1, 1), (mx.cpu(0), mx.cpu(1))), mx.gluon.loss.L2Loss(), 4)
pipe.initialize()
x = mx.nd.ones((8, 4))
print(pipe.forward_backward(x, x).asscalar() > 0)
{ending}
"""
    done = subprocess.run([sys.executable, "-W", "always::ResourceWarning", "-c", program], capture_output=True,
                          text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert "Deprecat" in done.stderr or not done.stderr  # numpy's warnings at MXNet's import are none of ours
    assert not [line for line in done.stderr.splitlines() if "Warning" in line and "Deprecat" not in line]
