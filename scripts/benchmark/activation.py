"""How much memory a schedule's activations take, and how it grows with the number of micro-batches."""
from __future__ import annotations

import sys
from typing import Any, Dict, List

from tqdm import tqdm

from .launch import Launcher
from .options import Options
from .variants import VARIANTS

ROWS = 32  # of each micro-batch: the batch grows with their number
COUNTS = (4, 16)


def measure_memory(launcher: Launcher, options: Options) -> List[Dict[str, Any]]:
    """Peak activation memory for 4 and for 16 micro-batches of equal size, each in a fresh process.

    It is the most resident memory that three steps took beyond what was resident before them (parameters, gradients,
    the batch, MXNet itself), without the pieces that the batch is cut into, which are as large as the batch.

    Returns
    -------
    list of dict
        For each schedule the bytes by number of micro-batches, and their ratio.
    """
    rows = []
    with tqdm(total=2 * len(COUNTS), desc="memory", file=sys.stderr, disable=None, leave=False) as bar:
        for schedule in ("1f1b", "fill_drain"):
            found = {}
            for count in COUNTS:
                workload = options.workload(ROWS * count, count)
                with launcher.start(VARIANTS[schedule], workload) as worker:
                    answer = worker.ask("memory")[0]
                found[str(count)] = answer["peak"] - answer["before"] - workload.batch_bytes
                bar.update()
            rows.append({"schedule": schedule, "rows": ROWS, "activation_bytes": found,
                         "ratio": found[str(COUNTS[-1])] / found[str(COUNTS[0])]})
    return rows
