"""A long run in miniature: nothing grows."""
import gc
import os
import threading

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, lstm_chain
from mxnet import gluon

from mxmp import Pipeline, Plan, Trainer

STEPS, SETTLED, PIPELINES = 2000, 300, 50


def resident():
    """MB of this process in memory, with nothing under way."""
    mx.nd.waitall()
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2 ** 20


def handles():
    """How many files and threads the process has."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), threading.active_count()


@pytest.mark.long
def test_steps_of_changing_shapes_keep_memory_threads_and_files_as_they_are():
    random = np.random.RandomState(0)
    with Pipeline(lstm_chain(), Plan((3, 3), CONTEXTS[:2]), gluon.loss.L2Loss(), 4) as pipe:
        pipe.initialize(mx.init.Uniform(0.1))
        trainer = Trainer(pipe, "adam")
        for step in range(STEPS):
            if step == SETTLED:
                before, had = resident(), handles()
            rows, steps = random.randint(4, 17), random.randint(1, 13)
            x, y = mx.nd.array(random.randn(rows, steps, 5)), mx.nd.array(random.randn(rows, steps, 3))
            loss = pipe.forward_backward(x, y)
            trainer.step(rows)
            if step % 10 == 0:
                assert np.isfinite(loss.asscalar())
        assert resident() < 1.02 * before and handles() == had


@pytest.mark.long
def test_pipelines_made_and_closed_keep_threads_and_files_as_they_are_and_hardly_any_memory():
    x, y = mx.nd.ones((8, 6, 5)), mx.nd.zeros((8, 6, 3))
    for number in range(PIPELINES):
        if number == PIPELINES // 5:
            before, had = resident(), handles()
        chain = lstm_chain()
        with Pipeline(chain, Plan((3, 3), CONTEXTS[:2]), gluon.loss.L2Loss(), 4) as pipe:
            pipe.initialize(mx.init.Uniform(0.1))
            trainer = Trainer(pipe, "adam")
            for _ in range(3):
                pipe.forward_backward(x, y)
                trainer.step(8)
        del pipe, trainer, chain
    # of each pipeline some 0.05 MB stay, of 40 of them first 4 to 6 MB; a thread not used again would keep 5 MB
    assert resident() < before + 12 and handles() == had
