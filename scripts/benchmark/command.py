"""What `scripts/benchmark pipeline` does: measure, print tables, write all of it as JSON."""
from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Optional

from mxmp.runtime import machine

from .activation import measure_memory
from .launch import Launcher
from .options import Options
from .report import memory_table, step_table, summarize
from .rounds import measure_rounds
from .variants import MEMORY


def run(options: Options, path: Optional[str] = None) -> Dict[str, Any]:
    """Measure what the options ask for, one batch size after the other.

    Parameters
    ----------
    options : Options
        The flags.
    path : str or None
        A file for everything that was measured. It is written after each table, so that an interrupted run keeps what
        it has.

    Returns
    -------
    dict
        What the file holds.
    """
    if path:
        open(path, "a", encoding="utf-8").close()  # better now than after an hour
    launcher = Launcher(options)
    if launcher.left_out:
        print(launcher.left_out, file=sys.stderr)
    found: Dict[str, Any] = {"machine": machine(), "versions": launcher.versions, "flags": asdict(options),
                             "steps": [], "memory": []}
    print(_heading(found), flush=True)
    for batch_size in options.batch_sizes if launcher.variants else ():
        workload = options.workload(batch_size, options.num_microbatches)
        samples = measure_rounds(launcher, workload, options.repeats)
        found["steps"].append(summarize(launcher, workload, samples, options.matmul_size))
        print(f"\n{step_table(found['steps'][-1], launcher.num_contexts)}", flush=True)
        _save(found, path)
    if MEMORY in options.selected:
        found["memory"] = measure_memory(launcher, options)
        print(f"\nPeak memory of activations, {found['memory'][0]['rows']} rows a micro-batch:\n\n"
              f"{memory_table(found['memory'])}")
        _save(found, path)
    return found


def _heading(found: Dict[str, Any]) -> str:
    """Machine, versions and flags."""
    there, versions, flags = found["machine"], found["versions"], found["flags"]
    torch = f", PyTorch {versions['torch']}" if "torch" in versions else ""
    return (f"{there['cores']} cores of {there['cpu']}, {there['memory_bytes'] / 2 ** 30:.0f} GiB; MXNet "
            f"{versions['mxnet']}, numpy {versions['numpy']}{torch}, Python {there['python']}; {there['date']}\n"
            f"{flags['num_layers']} LSTM layers of {flags['hidden_size']}, {flags['seq_len']} steps, "
            f"{flags['num_microbatches']} micro-batches or {flags['num_chunks']} time chunks; contexts "
            f"{flags['contexts']} with {flags['threads_per_context']} threads each; {flags['repeats']} rounds, "
            "ratios are medians of the rounds' ratios")


def _save(found: Dict[str, Any], path: Optional[str]) -> None:
    if path:
        Path(path).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
