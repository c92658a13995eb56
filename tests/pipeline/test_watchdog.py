"""Steps that do not end: where they are stuck, and that nothing waits for them for ever. Every test is a program."""
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS
from mxnet import gluon

from mxmp import Pipeline, Plan
from mxmp.pipeline.errors import Probe
from mxmp.pipeline.watchdog import Computed, peek

START = """
import os, signal, subprocess, sys, threading, time
from mxmp import runtime
runtime.configure(1)
import mxnet as mx
from mxmp import Pipeline, Plan, Trainer
from mxmp.pipeline import threads

class Stuck(mx.gluon.Block):
    "Does not come back from its n-th call, if it is stuck in Python."
    calls, n = 0, None
    def forward(self, x):
        self.calls += 1
        if self.calls == self.n:
            entered()
            threading.Event().wait()
        return x * 1

class Op(mx.operator.CustomOp):
    "Does not come back from its n-th forward pass, or the backward pass."
    forwards, n, back = 0, None, False
    def forward(self, is_train, req, in_data, out_data, aux):
        Op.forwards += 1
        if Op.forwards == Op.n:
            threading.Event().wait()
        self.assign(out_data[0], req[0], in_data[0])
    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        if Op.back:
            threading.Event().wait()
        self.assign(in_grad[0], req[0], out_grad[0])

@mx.operator.register("stuck")
class Prop(mx.operator.CustomOpProp):
    def create_operator(self, ctx, shapes, dtypes):
        return Op()

class Computing(mx.gluon.Block):
    def forward(self, x):
        return mx.nd.Custom(x, op_type="stuck")

def entered():
    pass

def stalled(place):
    print(place, flush=True)
    os._exit(7)

def dense():
    return mx.gluon.nn.Dense(5, flatten=False, in_units=5)

def make(*layers):
    pipe = Pipeline(layers, Plan((2, len(layers) - 2), (mx.cpu(0), mx.cpu(1))), mx.gluon.loss.L2Loss(), 2)
    pipe.initialize()
    return pipe

x = mx.nd.ones((4, 6, 5))
"""


def run(program, status=0):
    """The output of a program, and its errors."""
    done = subprocess.run([sys.executable, "-c", START + program], capture_output=True, text=True, timeout=120,
                          cwd=Path(__file__).parents[2])
    assert done.returncode == status, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize("place, call, expected", [
    (0, 1, "stage 0 on cpu(0), forward pass of micro-batch 0, layer '0'"),
    (2, 2, "stage 1 on cpu(1), forward pass of micro-batch 1, layer '2'"),
    (2, 5, "stage 1 on cpu(1), forward pass of micro-batch 0, layer '2'")])  # of the third step
def test_a_layer_that_does_not_come_back_is_named(place, call, expected):
    out, _ = run(f"""
stuck, layers = Stuck(), [dense(), dense(), dense()]
layers[{place}] = stuck
stuck.n = {call}
pipe = make(*layers)
with pipe.watchdog(1, stalled):
    while True:
        pipe.forward_backward(x, x)
""", 7)
    assert out == "issuing " + expected


def test_an_interleaved_stage_that_does_not_come_back_is_named():
    out, _ = run("""
stuck = Stuck()
stuck.n = 2
plan = Plan((1, 1, 1, 1), (mx.cpu(0), mx.cpu(1)) * 2)
pipe = Pipeline([dense(), dense(), stuck, dense()], plan, mx.gluon.loss.L2Loss(), 4, schedule="interleaved")
pipe.initialize()
with pipe.watchdog(1, stalled):
    pipe.forward_backward(x, x)
""", 7)
    assert out == "issuing stage 2 on cpu(0), forward pass of micro-batch 1, layer '2'"


@pytest.mark.parametrize("place, setting, expected", [
    (0, "n = 4", "stage 0 on cpu(0), forward pass of micro-batch 1, layer '0'"),  # of the second step
    (2, "n = 2", "stage 1 on cpu(1), forward pass of micro-batch 1, layer '2'"),
    (2, "back = True", "stage 1 on cpu(1), backward pass of micro-batch 0, one of the layers '2', '3'")])
def test_an_operator_that_does_not_end_is_named(place, setting, expected):
    out, _ = run(f"""
layers = [dense(), dense(), dense(), dense()]
layers[{place}] = Computing()
Op.{setting}
pipe = make(*layers)
with pipe.watchdog(1, stalled):
    while True:
        pipe.forward_backward(x, x).wait_to_read()
""", 7)
    first, *others = out.split("; not there, either: stage ")
    assert first == "computing " + expected and len(others) == 1  # which waits for the other stage


def test_a_watchdog_says_nothing_of_steps_that_end_or_fail_and_of_pauses_between_them():
    out, _ = run("""
class Slow(mx.gluon.Block):
    fail = stop = False
    def forward(self, x):
        if self.fail:
            raise ValueError("failed")
        if self.stop:
            self.stop = False
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)  # eight times a step: it takes longer than the watchdog waits, but goes on
        return x * 1
slow = Slow()
pipe = make(dense(), slow, slow, dense())
with pipe.watchdog(0.8, stalled):
    for _ in range(3):
        print(pipe.forward_backward(x, x).shape, flush=True)
    time.sleep(2)
    subprocess.Popen(["sh", "-c", f"sleep 3; kill -CONT {os.getpid()}"])
    slow.stop = True  # all of the process, for longer than the watchdog waits
    pipe.forward_backward(x, x)
    slow.fail = True
    try:
        pipe.forward_backward(x, x)
    except ValueError:
        print("failed")
    time.sleep(2)
    slow.fail = False
    pipe.forward_backward(x, x).wait_to_read()
    pipe(x).wait_to_read()
pipe.forward_backward(x, x)
print("end")
""")
    assert out.split("\n") == ["(1,)"] * 3 + ["failed", "end"]


@pytest.mark.parametrize("place", [0, 2])
def test_ctrl_c_once_leaves_a_stage_that_is_stuck_and_the_program_ends(place):
    out, errors = run(f"""
stuck, layers = Stuck(), [dense(), dense(), dense()]
layers[{place}] = stuck
stuck.n = 2
threads.PATIENCE = 0.5
pipe = make(*layers)
def entered():
    os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    pipe.forward_backward(x, x)
except KeyboardInterrupt as error:
    print(error)
try:
    pipe.forward_backward(x, x)
except RuntimeError as error:
    print(error)
pipe.close()
with make(dense(), dense(), dense()) as other:  # with threads of its own
    print(other.forward_backward(x, x).asnumpy().shape)
""")
    place = f"stage {place // 2} on cpu({place // 2}), forward pass of micro-batch 1, layer '{place}'"
    assert out.split("\n") == [
        f"interrupted, but 0.5 s later a stage has not come back from its layer, and is left ({place}); its pipeline "
        "cannot be called again",
        f"this pipeline is stuck since a call of it was interrupted ({place}); begin the program anew", "(1,)"]
    assert "Traceback" not in errors


def test_an_exit_waits_for_a_step_that_is_under_way_in_another_thread():
    out, _ = run("""
class Slow(mx.gluon.Block):
    def forward(self, x):
        begun.set()
        time.sleep(0.3)
        print("step", flush=True)
        return x * 1
begun = threading.Event()
pipe = make(dense(), Slow(), dense())
threading.Thread(target=lambda: pipe(x), daemon=True).start()
begun.wait()
""")
    assert out.split("\n") == ["step"] * 2


def test_peeking_sees_what_is_there_and_does_not_wait():
    array = mx.nd.array([[1, 2], [3, 4]], CONTEXTS[1])
    array.wait_to_read()
    np.testing.assert_array_equal(peek(array), [[1, 2], [3, 4]])
    out, _ = run("""
from mxmp.pipeline.watchdog import peek
Op.n = 1
array = mx.nd.zeros((3,))
array.wait_to_read()
array[1:2] = mx.nd.Custom(mx.nd.ones((1,)), op_type="stuck")
print(peek(array).tolist(), flush=True)
os._exit(0)
""")
    assert out == "[0.0, 0.0, 0.0]"


def test_what_lies_in_other_memory_than_a_cpus_is_named_by_its_stages(monkeypatch):
    with Pipeline([gluon.nn.Dense(3, in_units=3) for _ in range(2)], Plan((1, 1), CONTEXTS[:2])) as pipe:
        pipe.initialize()
        watchdog = pipe.watchdog(60, pytest.fail)
        pipe(mx.nd.ones((4, 3)))
        pipe.wait()
        monkeypatch.setattr("mxmp.pipeline.watchdog.peek", lambda array: None)  # as of a GPU's
        watchdog._computed.append(Computed(9, pipe._probes.add(*some_probes(pipe))[1]))
        assert watchdog._place() == ("computing stage 0 on cpu(0), where nobody can look; not there, either: "
                                     "stage 1 on cpu(1), where nobody can look")
        watchdog.stop()


def some_probes(pipe):
    return [Probe(f"stage {i} on cpu({i}), forward pass of micro-batch 0, layer '0'", mx.nd.ones((1,)), 0)
            for i in range(2)], pipe.plan.contexts


def test_a_step_is_the_same_with_a_watchdog():
    losses = []
    for watched in (False, True):
        layers = [gluon.nn.Dense(3, in_units=3) for _ in range(2)]
        with Pipeline(layers, Plan((1, 1), CONTEXTS[:2]), gluon.loss.L2Loss(), 2) as pipe:
            pipe.initialize(mx.init.Constant(0.1))
            watchdog = pipe.watchdog(60, pytest.fail) if watched else None
            losses.append(pipe.forward_backward(mx.nd.ones((4, 3)), mx.nd.ones((4, 3))).asscalar())
            if watchdog:
                watchdog.stop()
    assert losses[0] == losses[1] > 0


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_seconds_that_are_not_positive_are_refused(seconds):
    with Pipeline([gluon.nn.Dense(3, in_units=3)], Plan((1,), CONTEXTS[:1])) as pipe:
        with pytest.raises(ValueError, match="a watchdog's seconds must be positive"):
            pipe.watchdog(seconds, print)
