"""Calls inside calls, closing, forking and the program's end while a step is under way: right, or one error at once."""
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, lstm_chain
from mxnet import gluon

from mxmp import Pipeline, Plan
from mxmp.pipeline.cut import Feed
from mxmp.pipeline.step import Step
from mxmp.pipeline.turn import Turn

X = np.random.RandomState(1).randn(4, 3).astype("float32")


class Doing(gluon.Block):
    """Adds one, and first does what it is told, once."""

    def __init__(self, do=None):
        super().__init__()
        self.do = do

    def forward(self, x):
        if self.do:
            do, self.do = self.do, None
            do(x)
        return x + 1


class Through(gluon.Block):
    """What another pipeline makes of its input."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe = [pipe]

    def forward(self, x):
        return self.pipe[0](x).as_in_context(x.context)


def pipeline(*blocks):
    return Pipeline(blocks, Plan((1,) * len(blocks), CONTEXTS[:len(blocks)]), lambda out: out, 2)


def within(seconds, function, *args):
    """What a function returns, or its error; a test that hangs fails, and does not hang."""
    found = []

    def work():
        try:
            found.append(function(*args))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"{function} has not ended after {seconds} s"
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def test_a_pipeline_may_be_called_in_a_layer_of_another_one():
    x = mx.nd.array(X)
    with pipeline(Doing(), Doing()) as inner, pipeline(Doing(), Through(inner), Doing(), Through(inner)) as outer:
        for _ in range(3):
            np.testing.assert_allclose(within(60, outer, x).asnumpy(), X + 6, 1e-6)
        np.testing.assert_allclose(inner(x).asnumpy(), X + 2, 1e-6)


@pytest.mark.parametrize("outer_place, inner_place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_two_pipelines_that_call_each_other_are_refused(outer_place, inner_place):
    x, inner_blocks, outer_blocks = mx.nd.array(X), [Doing(), Doing()], [Doing(), Doing()]
    with pipeline(*inner_blocks) as inner, pipeline(*outer_blocks) as outer:
        outer_blocks[outer_place].do = inner
        inner_blocks[inner_place].do = outer
        with pytest.raises(RuntimeError, match="of this pipeline calls the pipeline itself, which waits for it"):
            within(60, outer, x)
        assert within(60, outer, x).asnumpy().tolist() == within(60, inner, x).asnumpy().tolist() == (X + 2).tolist()


@pytest.mark.parametrize("place", [0, 1])
def test_a_layer_that_closes_its_own_pipeline_is_refused(place):
    x, blocks = mx.nd.array(X), [Doing(), Doing()]
    with pipeline(*blocks) as pipe:
        blocks[place].do = lambda x: pipe.close()
        with pytest.raises(RuntimeError, match=rf"closes the pipeline itself, which waits for it .*layer '{place}'"):
            within(60, pipe, x)
        assert within(60, pipe, x).asnumpy().tolist() == (X + 2).tolist()


@pytest.mark.parametrize("call", [lambda pipe, x: pipe(x), lambda pipe, x: pipe.forward_backward(x)],
                         ids=["forward", "training"])
def test_closing_waits_for_another_threads_call(call):
    begun, go_on, found = threading.Event(), threading.Event(), {}

    def wait(x):
        begun.set()
        go_on.wait(30)

    blocks = [Doing(), Doing(wait)]
    pipe = pipeline(*blocks)
    caller = threading.Thread(target=lambda: found.update(out=call(pipe, mx.nd.array(X)).asnumpy()), daemon=True)
    closer = threading.Thread(target=pipe.close, daemon=True)
    caller.start()
    assert begun.wait(30)
    closer.start()
    closer.join(0.2)
    assert closer.is_alive() and not found
    go_on.set()
    closer.join(30)
    caller.join(30)
    np.testing.assert_allclose(found["out"].sum(), (X + 2).sum(), 1e-5)
    with pytest.raises(RuntimeError, match="this pipeline was closed"):
        pipe(mx.nd.array(X))


def call_often(pipe, x, expected, errors):
    """Calls with the right result; errors are noted."""
    for _ in range(5):
        try:
            np.testing.assert_allclose(pipe(x).asnumpy(), expected, 1e-5, 1e-6)
        except Exception as error:
            errors.append(str(error))


def test_many_threads_that_call_and_close_give_results_or_one_error():
    blocks, x, errors = [Doing() for _ in range(4)], mx.nd.array(X), []
    for _ in range(20):
        pipe = Pipeline(blocks, Plan((2, 2), CONTEXTS[:2]), None, 4)
        threads = [threading.Thread(target=call_often, args=(pipe, x, X + 4, errors), daemon=True) for _ in range(3)]
        threads += [threading.Thread(target=pipe.close, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
    assert [error for error in errors if "this pipeline was closed" not in error] == []


class Refusing(ThreadPoolExecutor):
    """As an executor when the interpreter ends."""

    def submit(self, *args):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")


def test_stages_that_cannot_be_started_stop_those_that_were():
    blocks = [Doing(), Doing(), Doing()]
    with pipeline(*blocks) as pipe, ThreadPoolExecutor(1) as second, Refusing(1) as third:
        step = Step("1f1b", pipe.plan.contexts, Feed.of(mx.nd.array(X), (), "NTC", 2, 1, True), None, None, None)
        with pytest.raises(RuntimeError, match="after interpreter shutdown"):
            within(60, Turn.whole(step).run, pipe.stages, [second, third])
        within(60, second.submit(int).result)


START = """
import os, signal, sys, threading, time
from mxmp import runtime
runtime.configure(1)
import mxnet as mx, numpy as np
from mxmp import Pipeline, Plan, nn
begun = threading.Event()
class Slow(mx.gluon.Block):
    def forward(self, x):
        begun.set()
        time.sleep(0.01)
        return x * 1
layers = [Slow(), nn.TimeFirst(), nn.LSTMLayer(5, input_size=5), nn.LSTMLayer(5, input_size=5), nn.TimeFirst(), Slow()]
pipe = Pipeline(layers, Plan((2, 2, 2), (mx.cpu(0), mx.cpu(1), mx.cpu(2))), mx.gluon.loss.L2Loss(), 4)
pipe.initialize(mx.init.Constant(0.1))
x = mx.nd.array(np.random.RandomState(0).randn(4, 6, 5))
def steps():
    while True:
        pipe.forward_backward(x, x).wait_to_read()
"""


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise ValueError('3')", "os.kill(os.getpid(), signal.SIGINT)"],
                         ids=["end", "exit", "error", "interrupt"])
@pytest.mark.parametrize("daemon", [True, False])
def test_a_program_ends_while_another_thread_is_in_a_step(end, daemon):
    program = f"{START}\nthreading.Thread(target=steps, daemon={daemon}).start()\nbegun.wait()\ntime.sleep(0.1)\n{end}"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
                          cwd=Path(__file__).parents[2])
    assert time.monotonic() - began < 30
    assert done.returncode == {"": 0, "sys.exit(3)": 3, "raise ValueError('3')": 1}.get(end, -2), done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith(("RuntimeError", "mxnet"))]
    assert len(errors) <= 1 and all("after" in line and "shutdown" in line for line in errors), done.stderr


def test_a_child_that_is_forked_during_a_step_says_so_and_one_that_is_not_works():
    blocks = [Doing(), *lstm_chain(), Doing()]
    x, y = mx.nd.ones((8, 4, 5)), mx.nd.zeros((8, 4, 3))
    with Pipeline(blocks, Plan((3, 5), CONTEXTS[:2]), gluon.loss.L2Loss(), 4) as pipe:
        pipe.initialize(mx.init.Constant(0.1))
        loss, grads = pipe.forward_backward(x, y).asscalar(), gradients(pipe.chain)
        begun, go_on = threading.Event(), threading.Event()

        def wait(x):
            begun.set()
            go_on.wait(30)

        blocks[-1].do = wait
        caller = threading.Thread(target=pipe.forward_backward, args=(x, y), daemon=True)
        caller.start()
        assert begun.wait(30)
        child = os.fork()
        if not child:
            with suppress(BaseException):
                try:
                    within(20, pipe.forward_backward, x, y)
                except RuntimeError as error:
                    os._exit(17 if "was forked while another thread was in a call" in str(error) else 18)
            os._exit(19)
        go_on.set()
        caller.join(30)
        assert os.waitpid(child, 0)[1] >> 8 == 17
        assert pipe.forward_backward(x, y).asscalar() == loss
        assert_same(gradients(pipe.chain), grads, 0, 0)
