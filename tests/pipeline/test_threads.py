"""Whoever calls a pipeline, and whatever happens meanwhile: threads, settings, forks, interrupts."""
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
from helpers.stacks import CONTEXTS, assert_same, gradients, lstm_chain, pipelined, random_values
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.pipeline.threads import StageThreads

X, Y = (np.random.RandomState(1).randn(*shape).astype("float32") for shape in ((8, 4, 5), (8, 4, 3)))


def batch(times=1.0):
    return mx.nd.array(times * X), mx.nd.array(Y)


def lstms(**options):
    chain = lstm_chain()
    return pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (3, 3), 4, **options)


def test_calls_from_several_threads_give_what_they_give_alone():
    chain = lstm_chain(4)
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(), (2, 2, 2, 1), 2) as pipe:
        expected = {i: pipe(batch(i)[0]).asnumpy() for i in range(4)}
        losses = {i: pipe(*batch(i)).asscalar() for i in range(4)}
        found = {i: [] for i in range(4)}

        def work(i):
            for _ in range(30):
                found[i].append((pipe(batch(i)[0]).asnumpy(), pipe.forward_backward(*batch(i)).asscalar()))

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(4)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)  # the threads take turns as often as can be
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        finally:
            sys.setswitchinterval(interval)
        for i in range(4):
            assert len(found[i]) == 30
            for out, loss in found[i]:
                np.testing.assert_array_equal(out, expected[i])
                np.testing.assert_allclose(loss, losses[i], 1e-6)


class Meanwhile(gluon.Block):
    """Lets something else begin while it is issued."""

    begin = None

    def forward(self, x):
        if self.begin:
            begin, self.begin = self.begin, None
            begin()
            time.sleep(0.3)
        return x * 1


def test_a_call_waits_for_the_one_before_it():
    meanwhile, x, y = Meanwhile(), mx.nd.ones((6, 4, 5)), mx.nd.zeros((6, 4, 5))
    layers = [meanwhile, *[gluon.rnn.LSTM(5, input_size=5) for _ in range(3)]]
    found = {}
    with Pipeline(layers, Plan((2, 2), CONTEXTS[:2]), gluon.loss.L2Loss(batch_axis=1), 2, layout="TNC") as pipe:
        pipe.initialize(mx.init.Uniform(0.5))
        expected = pipe.forward_backward(x, y).asscalar()

        def other():
            try:  # with states: Gluon's recurrent layers are traced for calls with them or for calls without
                found["other"] = pipe.forward_backward(x, y, pipe.begin_state(4))[0].asscalar()
            except Exception as error:
                found["other"] = error

        thread = threading.Thread(target=other, daemon=True)
        meanwhile.begin = thread.start
        assert pipe.forward_backward(x, y).asscalar() == expected
        thread.join(60)
        assert found["other"] == expected


class Probe(gluon.Block):
    """Notes what a layer's call is under, and adds an array that was made without a context."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append((mx.current_context(), autograd.is_training(), mx.util.is_np_array(), mx.util.is_np_shape()))
        return x + (mx.np if mx.util.is_np_array() else mx.nd).zeros((1,))


@pytest.mark.parametrize("here", [None, CONTEXTS[3]])
@pytest.mark.parametrize("as_np", [False, True])
def test_a_layer_works_under_its_stages_context_and_the_callers_settings(here, as_np):
    probes, x = [Probe(), Probe()], mx.nd.ones((4, 3))
    with Pipeline(probes, Plan((1, 1), CONTEXTS[1:3]), lambda out: out, 2) as pipe, mx.Context(here or CONTEXTS[0]):
        with mx.util.np_shape(as_np), mx.util.np_array(as_np):
            x = x.as_np_ndarray() if as_np else x
            out = pipe(x)
            with autograd.train_mode():
                pipe(x)
            pipe.forward_backward(x)
    assert out.context == CONTEXTS[2] and out.asnumpy().tolist() == [[1] * 3] * 4
    for probe, context in zip(probes, CONTEXTS[1:]):
        assert probe.seen == [(context, training, as_np, as_np) for training in (False, True, True) for _ in range(2)]


def test_the_callers_own_settings_stay_as_they_are():
    with lstms() as pipe, CONTEXTS[3]:
        pipe.forward_backward(*batch())
        assert mx.current_context() == CONTEXTS[3]
        assert not (autograd.is_training() or autograd.is_recording() or mx.util.is_np_array())


def test_dropout_acts_under_train_mode_as_in_plain_gluon():
    x = mx.nd.ones((8, 50))
    with Pipeline([gluon.nn.Dropout(0.5), gluon.nn.Dropout(0.5)], Plan((1, 1), CONTEXTS[:2]), None, 2) as pipe:
        pipe.seed(1)
        with autograd.train_mode():
            first, second = pipe(x).asnumpy(), pipe(x).asnumpy()
            pipe.seed(1)
            again = pipe(x).asnumpy()
        assert set(first.ravel()) == {0, 4} and (first != second).any()
        np.testing.assert_array_equal(again, first)
        np.testing.assert_array_equal(pipe(x).asnumpy(), x.asnumpy())


def run(program, timeout=120):
    """The output of a program that begins with a pipeline."""
    start = """
import os, signal, sys, threading, time
from mxmp import runtime
runtime.configure(1)
import mxnet as mx, numpy as np
from mxmp import Pipeline, Plan, nn
def make():
    layers = [nn.TimeFirst(), nn.LSTMLayer(5, input_size=5), nn.LSTMLayer(5, input_size=5), nn.TimeFirst()]
    pipe = Pipeline(layers, Plan((2, 2), (mx.cpu(0), mx.cpu(1))), mx.gluon.loss.L2Loss(), 2)
    pipe.initialize(mx.init.Constant(0.1))
    return pipe
x = mx.nd.array(np.random.RandomState(0).randn(4, 6, 5))
"""
    done = subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, timeout=timeout,
                          cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_forked_child_makes_its_threads_anew():
    before, *rest = run("""
pipe = make()
def result():
    return f"{pipe(x).sum().asscalar():.5f}/{pipe.forward_backward(x, x).asscalar():.5f}"
print(result(), flush=True)
for _ in range(2):
    child = os.fork()
    if not child:
        signal.alarm(60)  # a child that hangs is ended
        print(result(), flush=True)
        pipe.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
print(result())
""")
    assert rest == [before] * 3


def test_fork_based_workers_run_beside_a_pipeline_and_with_it():
    found = run("""
import multiprocessing
pipe = make()
print(f"{pipe(x).sum().asscalar():.5f}", flush=True)
def work(i):
    return f"{pipe(x).sum().asscalar():.5f}"
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(*pool.map_async(work, range(4)).get(60))
    print(f"{pipe(x).sum().asscalar():.5f}")
data = mx.gluon.data.DataLoader(mx.gluon.data.SimpleDataset(list(np.ones((4, 6, 5), "float32"))), 2, num_workers=2)
print(len([pipe(batch) for batch in data]))
""")
    assert len(found) == 7 and len(set(found[:6])) == 1 and found[6] == "2"


@pytest.mark.parametrize("schedule, plan", [("1f1b", Plan((3, 5), CONTEXTS[:2])),
                                            ("interleaved", Plan((2, 1, 2, 3), CONTEXTS[:2] * 2))])
def test_ctrl_c_at_any_moment_leaves_a_pipeline_that_gives_the_same_gradients(schedule, plan):
    """A hundred interrupts, each at another moment of a step."""
    class Slow(gluon.Block):
        """Takes a moment while it is issued."""

        def forward(self, x):
            time.sleep(0.002)
            return x * 1

    layers = [Slow(), *lstm_chain(), Slow()]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Pipeline(layers, plan, gluon.loss.L2Loss(), 4, schedule=schedule) as pipe:
            pipe.initialize(mx.init.Uniform(0.5))
            loss, grads = pipe.forward_backward(*batch()).asscalar(), gradients(pipe.chain)
            interrupted = 0
            for i in range(100):
                timer = threading.Timer(0.0005 * (i % 50), os.kill, (os.getpid(), signal.SIGINT))
                try:
                    timer.start()
                    pipe.forward_backward(*batch())
                    timer.join()
                    time.sleep(0.001)
                except KeyboardInterrupt:
                    interrupted += 1
                    timer.join()
                    assert all(parameter.grad_req == "write" for parameter in pipe.collect_params().values())
                if i % 10 == 9:
                    assert pipe.forward_backward(*batch()).asscalar() == loss
                    assert_same(gradients(pipe.chain), grads, 0, 0)
            assert interrupted > 50
    finally:
        signal.signal(signal.SIGINT, handler)


def test_an_interrupted_call_has_ended_before_the_interrupt_goes_on():
    events = []
    threads = StageThreads(1)

    def call():
        events.append("begun")
        os.kill(os.getpid(), signal.SIGINT)
        told.wait(30)
        time.sleep(0.05)
        events.append("ended")

    told = threading.Event()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            threads.call(call, interrupted=told.set)
        assert events == ["begun", "ended"]
        assert threads.call(lambda: 3) == 3
    finally:
        signal.signal(signal.SIGINT, handler)
        threads.close()


@pytest.mark.parametrize("place", [0, 1])
def test_a_layer_that_calls_its_own_pipeline_is_refused(place):
    blocks = [Meanwhile(), Meanwhile()]
    with Pipeline(blocks, Plan((1, 1), CONTEXTS[:2])) as pipe:
        blocks[place].begin = lambda: pipe(mx.nd.ones((2, 3)))
        with pytest.raises(RuntimeError, match=rf"calls the pipeline itself.*\(stage {place}.*layer '{place}'"):
            pipe(mx.nd.ones((2, 3)))
        assert pipe(mx.nd.ones((2, 3))).asnumpy().tolist() == [[1] * 3] * 2


@pytest.mark.parametrize("end", [lambda pipe: pipe.close(), lambda pipe: None], ids=["closed", "dropped"])
def test_pipelines_one_after_the_other_have_the_same_threads(end):
    end(lstms())
    before = threading.active_count() + 2  # the last pipeline is freed a moment after its last call
    for _ in range(20):
        pipe = lstms()
        pipe(batch()[0])
        end(pipe)
        del pipe
    assert threading.active_count() <= before
    with lstms() as pipe, lstms() as other:
        np.testing.assert_array_equal(pipe(batch()[0]).asnumpy(), other(batch()[0]).asnumpy())


def test_a_closed_pipeline_says_so():
    pipe = lstms()
    expected = pipe(batch()[0]).asnumpy()
    pipe.close()
    pipe.close()
    for call in (lambda: pipe(batch()[0]), lambda: pipe.forward_backward(*batch())):
        with pytest.raises(RuntimeError, match="this pipeline was closed, by close.. or at the end of its `with` "
                                               "block; make a new Pipeline of the same chain"):
            call()
    with Pipeline(pipe.chain, Plan((2, 4), CONTEXTS[:2])) as other:
        np.testing.assert_allclose(other(batch()[0]).asnumpy(), expected, 1e-5, 1e-6)


def test_a_call_under_record_says_what_to_call():
    with lstms() as pipe:
        with autograd.record(), pytest.raises(RuntimeError, match="leave autograd.record.. out and call forward_backw"):
            pipe(batch()[0])
        expected = pipe.forward_backward(*batch()).asscalar()
        with autograd.record():
            loss = pipe.forward_backward(*batch())
        assert loss.asscalar() == expected
        with pytest.raises(RuntimeError, match="gone backward already.*leave loss.backward.. out and call Trainer"):
            loss.backward()
        with pytest.raises(RuntimeError, match="Trainer.step"):
            (loss / 8).backward()
