"""How much memory a schedule's activations take, and how it grows with the number of micro-batches."""
from __future__ import annotations

import sys
from typing import Any, Dict, List

from tqdm import tqdm

from .launch import Launcher
from .options import PipelineOptions
from .variants import VARIANTS

ROWS = 32  # of each micro-batch: the batch grows with their number
COUNTS = (4, 16)


def measure_memory(launcher: Launcher, options: PipelineOptions) -> List[Dict[str, Any]]:
    """For each schedule the peak activation memory with 4 and 16 micro-batches of equal size, each in a fresh process.

    It is the most resident memory that three steps took beyond what was resident before them (parameters, gradients,
    the batch, MXNet itself), without the pieces that the batch is cut into, which are as large as the batch.
    """
    rows = []
    with tqdm(total=2 * len(COUNTS), desc="memory", file=sys.stderr, disable=None, leave=False) as bar:
        for schedule in ("1f1b", "fill_drain"):
            activation_bytes = {}
            for count in COUNTS:
                workload = options.workload(ROWS * count, count)
                with launcher.start(VARIANTS[schedule], workload) as worker:
                    answer = worker.ask("memory")[0]
                activation_bytes[str(count)] = answer["peak"] - answer["before"] - workload.batch_bytes
                bar.update()
            rows.append({"schedule": schedule, "rows": ROWS, "activation_bytes": activation_bytes,
                         "ratio": activation_bytes[str(COUNTS[-1])] / activation_bytes[str(COUNTS[0])]})
    return rows
