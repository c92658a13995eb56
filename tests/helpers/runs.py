"""What training runs leave in their folders, and the learning rates that they should have used."""
import json
import math
import re

import mxnet as mx
import numpy as np


def arrays(folder, kind="latest", name="model.params"):
    """The arrays of a file in a run's checkpoint, by name."""
    (path,) = folder.glob(f"{kind}-*/{name}")
    return {key: array.asnumpy() for key, array in mx.nd.load(str(path)).items()}


def progress(folder):
    """The progress in a run's latest checkpoint."""
    (path,) = folder.glob("latest-*/checkpoint.json")
    return json.loads(path.read_text())["progress"]


def logged(folder):
    """What a run's log says of its steps, each once if it was the same whenever it was made: epoch, step, loss, norm
    and rate; and fingerprints, of which there are none without ``--fingerprint``."""
    return set(re.findall(r"(epoch \d+ step \d+)/\d+ (.*loss \S+ ).* (norm \S+ lr \S+)|(fingerprint of step .*)",
                          (folder / "train.log").read_text(encoding="utf-8")))


def assert_same_run(actual, expected, rounding=0):
    """The models, optimizers, carried states, losses, best scores and positions in the folders of two runs, bit for
    bit, or up to a ``rounding`` of the largest value of each."""
    files = sorted((path.parent.name.split("-")[0], path.name) for path in expected.glob("*-*/*.params"))
    assert {("best", "model.params"), ("latest", "model.params"), ("latest", "optimizer.params")} <= set(files)
    for kind, name in files:
        ours, theirs = arrays(actual, kind, name), arrays(expected, kind, name)
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_near(ours[key], theirs[key], rounding, f"{key} in {kind}")
    for name in ("epoch", "batch", "step", "counted", "train_loss", "valid", "best"):
        assert_near(progress(actual)[name], progress(expected)[name], rounding, name)


def assert_near(actual, expected, rounding, name):
    largest = np.abs(np.asarray(expected, "float64")).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rounding * largest, err_msg=name)


def rate(step, total, highest, warmup):
    """The rate of a step, from 0: a linear rise, then half a cosine that reaches 0 one step behind the last (Loshchilov
    and Hutter 2017, "SGDR", equation 5); the rise takes at most half of the run."""
    warmup = min(warmup, total // 2)
    if step + 1 < warmup:
        return highest * (step + 1) / warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (step + 1 - warmup) / (total + 1 - warmup)))
