"""A program that runs exported blocks with MXNet alone, ``python imported.py FOLDER``; test_export has the results."""
import json
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
from plain import trace


def run(folder, case):
    """Save all that a pass of the imported block gives, for each set of inputs; return its parameters' names."""
    block = mx.gluon.SymbolBlock.imports(str(folder / f"{case['file']}-symbol.json"), case["names"],
                                         str(folder / f"{case['file']}-0000.params"))
    for which in range(case["runs"]):
        saved = np.load(folder / f"{case['file']}-{which}.npz")
        arrays = [saved[f"arr_{i}"] for i in range(len(saved.files))]
        np.savez(folder / f"{case['file']}-{which}-passed.npz", *trace(block, *arrays, block=block))
    return list(block.collect_params().keys())


if __name__ == "__main__":
    here = Path(sys.argv[1])
    names = {case["file"]: run(here, case) for case in json.loads((here / "cases.json").read_text())}
    (here / "imported.json").write_text(json.dumps({"parameters": names, "mxmp": "mxmp" in sys.modules}))
