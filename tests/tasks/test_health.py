"""What a run does with numbers that go wrong, its fingerprints, and steps that do not end."""
import math
import re
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from helpers import programs
from helpers.runs import arrays, progress
from helpers.stacks import lstm_chain
from helpers.toy import run_of

from mxmp.command import parse_options
from mxmp.tasks import checkpoint
from mxmp.tasks.language.task import Language
from mxmp.tasks.options import RunOptions

BAD = {0: math.inf, 1: math.nan, 3: math.nan}


def fingerprints(folder):
    return re.findall(r"fingerprint of step .*", (folder / "train.log").read_text(encoding="utf-8"))


def test_bad_steps_are_skipped_and_reported_and_the_run_goes_on(tmp_path, caplog):
    task, run = run_of(tmp_path, [(1.0,)] * 3, log_interval=2, max_bad_steps=3)
    task.scales = BAD
    with task.pipe, caplog.at_level("WARNING", "mxmp"):
        run.train()
        assert run._trainer.skipped.asnumpy().tolist() == [3, 0] and run._trainer.nonfinite_values() == []
    assert [line.split(" were")[0] for line in caplog.messages] == ["2 updates until step 2", "1 updates until step 4"]
    steps, losses = zip(*run.progress.train_loss)
    assert steps == (4, 6) and np.isfinite(losses).all()  # of the good steps: two of two, and one of two
    assert all(np.isfinite(array).all() for array in arrays(tmp_path).values())


@pytest.mark.parametrize("most", [1, 3])
def test_a_run_that_diverged_says_where_and_saves_nothing(tmp_path, most):
    task, run = run_of(tmp_path, [(1.0,)] * 2, max_bad_steps=most, save_interval=100)
    task.scales = dict.fromkeys(range(4), math.inf)
    with task.pipe, pytest.raises(RuntimeError) as error:
        task.validate = lambda epoch: pytest.fail("went on") if most == 1 else type(task).validate(task, epoch)
        run.train()
    # every layer's gradient is NaN, and the backward pass begins at the last
    assert re.fullmatch(rf"the last {most} updates up to step {most} were skipped \(--max_bad_steps {most}\): \d+ "
                        r"parameters' gradients are not finite, the first that the backward pass reaches that of layer "
                        r"'5' \(5\.bias\); lower --learning_rate \(now 0\.003\) and --resume", str(error.value))
    assert len(list(tmp_path.glob("*-*"))) == (0 if most == 1 else 2)  # of a whole model, after the first epoch


@pytest.mark.parametrize("place", ["parameter", "state"])
def test_a_model_that_is_not_finite_is_never_saved(tmp_path, place):
    task, run = run_of(tmp_path, [(1.0,), (2.0,)])

    def spoil(epoch):
        if epoch == 2:
            if place == "parameter":
                task.pipe.chain[5].bias.list_data()[0][0] = math.nan
            else:
                run._trainer._updaters[0].states[0][1][:] = math.inf
        return type(task).validate(task, epoch)

    task.validate = spoil
    name = r"5\.bias and 0" if place == "parameter" else r"the optimizer's state of [\w.]+ and 0"
    with task.pipe, pytest.raises(RuntimeError, match=name + " others are not finite at step 4, which is not saved"):
        run.train()
    assert sorted(path.name for path in tmp_path.glob("*-*")) == ["best-00000002", "latest-00000002"]


@pytest.fixture
def spoiled(tmp_path):
    """The checkpoint of a run that did not look at its model before it saved it."""
    task, run = run_of(tmp_path, [(1.0,)])

    def spoil(epoch):
        task.pipe.chain[5].bias.list_data()[0][0] = math.nan
        return type(task).validate(task, epoch)

    task.validate, run._health.check_values = spoil, lambda step: None
    with task.pipe, pytest.raises(ValueError, match=r"^5\.bias in the checkpoint .*best-00000002 is not finite"):
        run.train()  # at its end, where it takes the best model
    return tmp_path / "latest-00000002"


def test_a_model_that_is_not_finite_is_neither_gone_on_with_nor_used(spoiled):
    task, run = run_of(spoiled.parent, [(1.0,)] * 2, resume=True)
    with task.pipe, pytest.raises(ValueError, match=r"^5\.bias in the checkpoint .*latest-00000002 is not finite"):
        run.train()
    with pytest.raises(ValueError, match=r"^5\.bias in the checkpoint .* is not finite; use another checkpoint$"):
        checkpoint.load_chain(spoiled, lstm_chain(), task.pipe.plan)


def test_an_absurd_loss_is_reported(tmp_path, caplog):
    task, run = run_of(tmp_path, [(1.0,)])
    step = task.step
    task.step = lambda batch: (step(batch)[0] + 6e30, 6, 6)
    with task.pipe, caplog.at_level("WARNING", "mxmp"):
        run.train()
    assert len(caplog.messages) == 2
    assert caplog.messages[0] == ("the loss of 1e+30 per token at step 1 is absurd; lower "
                                  "--learning_rate (now 0.003) and --resume if it stays so")


@pytest.mark.parametrize("criterion", [math.nan, math.inf, -math.inf])
def test_a_validation_that_is_not_finite_is_never_the_best(tmp_path, criterion):
    task, run = run_of(tmp_path, [(1.0, 2.0), (1.0, criterion), (criterion, 9.0)])
    with task.pipe:
        run.train()
    with checkpoint.best(tmp_path) as best:
        assert run.progress.best == [1.0, 2.0] and best.name == "best-00000002"


@pytest.mark.parametrize("name", ["max_bad_steps", "fingerprint", "stall_timeout"])
def test_flags_that_make_no_sense_are_refused(name):
    with pytest.raises(ValueError, match=f"--{name} must be at least"):
        parse_options(RunOptions, (), None, [f"--{name}", "-1"])


@pytest.mark.long
def test_fingerprints_tell_runs_of_one_seed_from_others(language_flags, tmp_path):
    lines = []
    for number, seed in enumerate((3, 3, 4)):
        folder = tmp_path / str(number)
        done = programs.run("train_language_model.py", *language_flags, "--output_dir", folder, "--seed", seed,
                            "--fingerprint", "4", "--epochs", "1")
        assert done.returncode == 0, done.stderr
        lines.append(fingerprints(folder))
        assert len(lines[-1]) == progress(folder)["step"] // 4 >= 2
        assert all(re.fullmatch(r"fingerprint of step \d+: loss [\d.]+ norm [\d.]+ sha256 [0-9a-f]{64}", line)
                   for line in lines[-1])
    assert lines[0] == lines[1]
    assert not set(lines[0]) & set(lines[2])


def test_a_fingerprint_changes_with_one_bit_of_loss_norm_or_a_parameter(tmp_path, caplog):
    task, run = run_of(tmp_path, [(1.0,)])
    with task.pipe, caplog.at_level("INFO", "mxmp"):
        for loss, norm in ((1.0, 2.0), (1.0, 2.0), (1 + 2 ** -23, 2.0), (1.0, 2.5)):
            run._health.fingerprint(1, mx.nd.array([loss]), mx.nd.array([norm]))
        task.pipe.chain[5].weight.list_data()[0][2, 4] *= 1 + 2 ** -23
        run._health.fingerprint(1, mx.nd.array([1.0]), mx.nd.array([2.0]))
    hashes = [line.split()[-1] for line in caplog.messages]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 4


def test_states_that_a_bad_step_spoiled_do_not_spoil_those_that_follow(language_flags, tmp_path, monkeypatch):
    step = Language.step

    def first(self, batch):
        weight = next(iter(self.pipe.parameter_names)).list_data()[0]  # of the embedding
        kept = weight.copy()
        weight[:] = math.nan
        monkeypatch.setattr(Language, "step", step)
        result = self.step(batch)
        weight[:] = kept
        return result

    monkeypatch.setattr(Language, "step", first)
    programs.run_here(monkeypatch, "train_language_model.py", *language_flags, "--output_dir", tmp_path / "run",
                      "--epochs", "1")
    log = (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    assert log.count("were skipped") == 1 and "1 updates until step 1 were skipped" in log


STUCK = """
import sys, threading
sys.path[:0] = ["tests", "scripts"]
from mxmp import runtime
runtime.configure(1)
import mxnet as mx
from pathlib import Path
from helpers.toy import run_of
from mxmp import command
from mxmp.tasks.progress import start_log

class Op(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        threading.Event().wait()

@mx.operator.register("stuck")
class Prop(mx.operator.CustomOpProp):
    def create_operator(self, ctx, shapes, dtypes):
        return Op()

def main():
    folder = Path(sys.argv[1])
    start_log(folder)
    task, run = run_of(folder, [(1.0,)] * 2, stall_timeout=1.0)
    layer, calls = task.pipe.chain[5], []
    kind = type(layer)

    def stuck_in_the_third_step(layer, x):
        calls.append(x)
        if len(calls) == 3 and sys.argv[2] == "issuing":
            threading.Event().wait()
        out = kind.__call__(layer, x)
        return mx.nd.Custom(out, op_type="stuck") if len(calls) == 3 else out

    layer.__class__ = type("Stuck", (kind,), {"__call__": stuck_in_the_third_step})
    run.train()

command.run(main)
"""


@pytest.mark.parametrize("kind", ["issuing", "computing"])
def test_a_step_that_does_not_end_ends_the_run_and_names_its_place(tmp_path, kind):
    done = subprocess.run([sys.executable, "-c", STUCK, tmp_path, kind], capture_output=True, text=True, timeout=120,
                          cwd=programs.ROOT)
    place = f"no step has come further for 1 s (--stall_timeout), the run is stuck {kind} stage 1 on cpu(1), forward " \
            "pass of micro-batch 0, layer '5'"
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith(f"-c: error: {place}") and "--resume" in done.stderr
    log = (tmp_path / "train.log").read_text(encoding="utf-8")
    assert place in log and "step 2/4" in log and "Current thread" in log
    stacks = log.split("Current thread")[1]
    assert stacks.count("most recent call first") >= 3 and "in train" in stacks  # this one's, the main one's, a stage's
    assert ("stuck_in_the_third_step" in stacks) == (kind == "issuing")
    assert (tmp_path / "latest-00000002").is_dir()
