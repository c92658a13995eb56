"""A task of two steps an epoch for runs, whose validations are told."""
from dataclasses import dataclass

import mxnet as mx

from helpers.stacks import lstm_chain, pipelined, random_values
from mxmp.tasks.options import RunOptions
from mxmp.tasks.run import Run, Validation, start


@dataclass(frozen=True)
class Sizes:
    layers: int = 3


class Toy:
    """The task; ``scales`` multiply the batches of some steps, from 0."""

    sizes, fingerprint, steps_per_epoch, score_name, smoothed = Sizes(), "toy", 2, "score", True

    def __init__(self, pipe, criteria):
        self.pipe, self.criteria, self.scales, self.restored = pipe, criteria, {}, None

    def batches(self, epoch, start):
        for step in range(epoch * self.steps_per_epoch + start, (epoch + 1) * self.steps_per_epoch):
            yield mx.nd.ones((2, 3, 5)) * self.scales.get(step, 1.0) * (epoch + 1)

    def step(self, batch):
        return self.pipe.forward_backward(batch, mx.nd.zeros((2, 3, 3))), 6, 6

    def validate(self, epoch):
        criterion = self.criteria[epoch - 1]
        return Validation([1.0, criterion[0]], criterion, f"score {epoch}", ["50% remark"])

    def finish(self):
        return {"score": 7}, ["done"]

    def save(self, folder):
        (folder / "toy").write_text("saved")

    def restore(self, folder):
        self.restored = (folder / "toy").read_text()


def run_of(tmp_path, criteria, **given):
    chain, flags = lstm_chain(), {"log_interval": 1, "warmup_steps": 1, "output_dir": str(tmp_path), **given}
    options = RunOptions(epochs=len(criteria), **flags)
    pipe = pipelined(chain, random_values(chain), mx.gluon.loss.L2Loss(), (3, 3))
    task = Toy(pipe, criteria)
    return task, Run(task, options, pipe, start(pipe, options), tmp_path)
