"""What training runs leave in their folders."""
import json

import mxnet as mx


def arrays(folder, kind="latest", name="model.params"):
    """The arrays of a file in a run's checkpoint, by name."""
    (path,) = folder.glob(f"{kind}-*/{name}")
    return {key: array.asnumpy() for key, array in mx.nd.load(str(path)).items()}


def progress(folder):
    """The progress in a run's latest checkpoint."""
    (path,) = folder.glob("latest-*/checkpoint.json")
    return json.loads(path.read_text())["progress"]
