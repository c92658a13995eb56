"""What training runs leave in their folders, and the learning rates that they should have used."""
import json
import math

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


def assert_same_run(actual, expected):
    """The models, optimizers, validations and best scores in the folders of two runs, bit for bit."""
    files = sorted((path.parent.name.split("-")[0], path.name) for path in expected.glob("*-*/*.params"))
    assert {("best", "model.params"), ("latest", "model.params"), ("latest", "optimizer.params")} <= set(files)
    for kind, name in files:
        ours, theirs = arrays(actual, kind, name), arrays(expected, kind, name)
        assert ours.keys() == theirs.keys()
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{key} in {kind}")
    for name in ("epoch", "batch", "step", "valid", "best"):
        assert progress(actual)[name] == progress(expected)[name]


def rate(step, total, highest, warmup):
    """The rate of a step, from 0: a linear rise, then half a cosine that reaches 0 one step behind the last (Loshchilov
    and Hutter 2017, "SGDR", equation 5); the rise takes at most half of the run."""
    warmup = min(warmup, total // 2)
    if step + 1 < warmup:
        return highest * (step + 1) / warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (step + 1 - warmup) / (total + 1 - warmup)))
