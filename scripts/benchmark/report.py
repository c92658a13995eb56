"""From measurements to tables: medians, ratios within a round, shares of what the schedule and the machine allow."""
from __future__ import annotations

from statistics import median
from typing import Any, Dict, List, Optional, Sequence

from mxmp.schedule import ideal_speedup

from .launcher import MATMUL_REPEATS, Launcher
from .rounds import Samples
from .table import Columns, cell, markdown
from .variants import MATMUL, MATMUL_ALL, Variant, Workload

_MIB = 1 / 2 ** 20
_COLUMNS: Columns = {
    "variant": lambda row: f"`{row['variant']}`",
    "contexts x threads": lambda row: f"{row['contexts']} x {row['threads']}",
    "median s": cell("median", ".3f"), "min": cell("min", ".3f"), "max": cell("max", ".3f"),
    "time / plain": cell("to_plain", ".3f"), "speed-up": cell("speedup", ".3f"),
    "over": lambda row: f"`{row['reference']}`" if row["speedup"] else "-",
    "ideal": cell("ideal", ".3f"), "of ideal": cell("of_ideal", ".1%"), "of peak": cell("of_peak", ".1%"),
    "peak MiB": cell("peak_bytes", ",.0f", _MIB)}


def summarize(launcher: Launcher, workload: Workload, samples: Samples, matmul_size: int) -> Dict[str, Any]:
    """One batch size's report: the workload, the machine's peak on one context and on all, a row for each variant.

    Ratios are medians of the rounds' ratios: both numbers of a ratio are then from the same half minute of a machine
    whose speed changes from one minute to the next.
    """
    flops = 2 * matmul_size ** 3 * MATMUL_REPEATS
    peaks = {"one": [flops / s for s in _seconds(samples, MATMUL.name)],
             "all": [flops * launcher.num_contexts / s for s in _seconds(samples, MATMUL_ALL.name)]}
    return {"batch_size": workload.batch_size, "step_flops": workload.flops, "matmul_size": matmul_size,
            "peak_one": median(peaks["one"]), "peak_all": median(peaks["all"]),
            "rows": [_row(launcher, workload, variant, samples, peaks) for variant in launcher.variants]}


def _row(launcher: Launcher, workload: Workload, variant: Variant, samples: Samples,
         peaks: Dict[str, List[float]]) -> Dict[str, Any]:
    seconds = _seconds(samples, variant.name)
    speedup = _ratio(samples, variant.reference, variant.name)
    ideal = _ideal(launcher, workload, variant) if variant.reference else None
    peak = peaks["one" if variant.on == "one" else "all"]
    last = samples[variant.name][-1]
    return {"variant": variant.name, "contexts": launcher.num_contexts if variant.on == "all" else 1,
            "threads": launcher.threads(variant), "seconds": seconds, "median": median(seconds),
            "min": min(seconds), "max": max(seconds), "to_plain": _ratio(samples, variant.name, "plain"),
            "reference": variant.reference, "speedup": speedup, "ideal": ideal,
            "of_ideal": speedup / ideal if speedup and ideal else None,
            "of_peak": median(workload.flops / s / p for s, p in zip(seconds, peak)),
            "peak_bytes": last["peak_bytes"], "loss": last["loss"], "grad_squares": last["grad_squares"]}


def _ideal(launcher: Launcher, workload: Workload, variant: Variant) -> float:
    pieces = (workload.num_microbatches if variant.microbatches else 1) * (workload.num_chunks if variant.chunks else 1)
    return ideal_speedup(launcher.num_contexts if variant.on == "all" else 1, pieces * variant.steps, 1,
                         workload.stages_per_context if variant.schedule == "interleaved" else 1)


def _ratio(samples: Samples, above: Optional[str], below: Optional[str]) -> Optional[float]:
    """Median of the rounds' ratios of two variants' times; None if one of them was not measured."""
    if above not in samples or below not in samples:
        return None
    return median(a / b for a, b in zip(_seconds(samples, above), _seconds(samples, below)))


def _seconds(samples: Samples, name: str) -> List[float]:
    return [sample["seconds"] for sample in samples[name]]


def step_table(report: Dict[str, Any], num_contexts: int) -> str:
    """One batch size's table, with the machine's peak above it."""
    size, one, together = report["matmul_size"], report["peak_one"], report["peak_all"]
    return (f"Batch of {report['batch_size']}: {report['step_flops'] / 1e9:.1f} GFLOP a step. Products of {size} x "
            f"{size} matrices: {one / 1e9:.1f} GFLOP/s on one context, {together / 1e9:.1f} on {num_contexts} at once "
            f"({together / one:.2f} times).\n\n{markdown(_COLUMNS, report['rows'])}")


def memory_table(rows: Sequence[Dict[str, Any]]) -> str:
    """The table of activation memory by schedule and number of micro-batches."""
    counts = sorted(rows[0]["activation_bytes"], key=int)
    return markdown({"schedule": lambda row: f"`{row['schedule']}`",
                     **{f"{count} micro-batches, MiB": cell(count, ",.1f", _MIB) for count in counts},
                     "ratio": cell("ratio", ".2f")}, [{**row, **row["activation_bytes"]} for row in rows])
