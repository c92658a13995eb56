"""What training runs leave in their folders, and the learning rates that they should have used."""
import json
import math

import mxnet as mx


def arrays(folder, kind="latest", name="model.params"):
    """The arrays of a file in a run's checkpoint, by name."""
    (path,) = folder.glob(f"{kind}-*/{name}")
    return {key: array.asnumpy() for key, array in mx.nd.load(str(path)).items()}


def progress(folder):
    """The progress in a run's latest checkpoint."""
    (path,) = folder.glob("latest-*/checkpoint.json")
    return json.loads(path.read_text())["progress"]


def rate(step, total, highest, warmup):
    """The rate of a step, from 0: a linear rise, then half a cosine that reaches 0 one step behind the last (Loshchilov
    and Hutter 2017, "SGDR", equation 5); the rise takes at most half of the run."""
    warmup = min(warmup, total // 2)
    if step + 1 < warmup:
        return highest * (step + 1) / warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (step + 1 - warmup) / (total + 1 - warmup)))
