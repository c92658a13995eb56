"""What `scripts/benchmark pipeline` does: measure, print tables, save all of it."""
from __future__ import annotations

import sys
from itertools import product
from typing import Any, Dict, List

from tqdm import tqdm

from mxmp.runtime import machine

from .launcher import Launcher
from .options import PipelineOptions
from .report import memory_table, step_table, summarize
from .rounds import measure_variants
from .variants import MEMORY, VARIANTS

ROWS = 32  # of each micro-batch where memory is measured: the batch grows with their number
COUNTS = (4, 16)  # of these micro-batches
MEASURED = ("1f1b", "fill_drain", "1f1b_recompute", "fill_drain_recompute")


def run(options: PipelineOptions) -> None:
    """Measure what the options ask for, one batch size after the other.

    All of it is saved after each table, so that an interrupted run keeps what it has.
    """
    launcher = Launcher(options)
    for line in launcher.left_out:
        print(line, file=sys.stderr)
    results: Dict[str, Any] = {"machine": machine(), "versions": launcher.versions, "flags": options.flags,
                               "steps": [], "memory": []}
    print(_heading(results), flush=True)
    for batch_size in options.batch_sizes if launcher.variants else ():
        workload = options.workload(batch_size, options.num_microbatches)
        samples = measure_variants(launcher, workload, options.repeats)
        results["steps"].append(summarize(launcher, workload, samples, options.matmul_size))
        print(f"\n{step_table(results['steps'][-1], launcher.num_contexts)}", flush=True)
        options.save(results)
    if MEMORY in options.selected:
        results["memory"] = measure_memory(launcher, options)
        print(f"\nPeak memory of activations, {results['memory'][0]['rows']} rows a micro-batch:\n\n"
              f"{memory_table(results['memory'])}")
        options.save(results)


def _heading(results: Dict[str, Any]) -> str:
    """Machine, versions and flags."""
    machine, versions, flags = results["machine"], results["versions"], results["flags"]
    torch = f", PyTorch {versions['torch']}" if "torch" in versions else ""
    return (f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_bytes'] / 2 ** 30:.0f} GiB; MXNet "
            f"{versions['mxnet']}, numpy {versions['numpy']}{torch}, Python {machine['python']}; {machine['date']}\n"
            f"{flags['num_layers']} LSTM layers of {flags['hidden_size']}, {flags['seq_len']} steps, "
            f"{flags['num_microbatches']} micro-batches or {flags['num_chunks']} time chunks; contexts "
            f"{flags['contexts']} with {flags['threads_per_context']} threads each; {flags['repeats']} rounds, "
            "ratios are medians of the rounds' ratios")


def measure_memory(launcher: Launcher, options: PipelineOptions) -> List[Dict[str, Any]]:
    """For each schedule, with and without recomputation, the peak activation memory with 4 and 16 micro-batches of
    equal size, each in a fresh process.

    It is the most resident memory that three steps took beyond what was resident before them (parameters, gradients,
    the batch, MXNet itself), without the pieces that the batch is cut into, which are as large as the batch.
    """
    peaks: Dict[str, Dict[str, int]] = {name: {} for name in MEASURED}
    for schedule, count in tqdm(list(product(peaks, COUNTS)), "memory", leave=False, disable=None):
        workload = options.workload(ROWS * count, count)
        with launcher.start(VARIANTS[schedule], workload) as worker:
            answer = worker.ask("memory")[0]
        peaks[schedule][str(count)] = answer["peak"] - answer["before"] - workload.batch_bytes
    return [{"schedule": schedule, "rows": ROWS, "activation_bytes": peak,
             "ratio": peak[str(COUNTS[-1])] / peak[str(COUNTS[0])]} for schedule, peak in peaks.items()]
