"""Reports as text: Markdown tables that are aligned, too."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, Tuple

_MIB = 2 ** 20
_COLUMNS: List[Tuple[str, Callable[[Dict[str, Any]], str]]] = [
    ("variant", lambda row: f"`{row['variant']}`"),
    ("contexts x threads", lambda row: f"{row['contexts']} x {row['threads']}"),
    ("median s", lambda row: f"{row['median']:.3f}"),
    ("min", lambda row: f"{row['min']:.3f}"),
    ("max", lambda row: f"{row['max']:.3f}"),
    ("time / plain", lambda row: _number(row["to_plain"], ".3f")),
    ("speed-up", lambda row: _number(row["speedup"], ".3f")),
    ("over", lambda row: f"`{row['reference']}`" if row["speedup"] else "-"),
    ("ideal", lambda row: _number(row["ideal"], ".3f")),
    ("of ideal", lambda row: _number(row["of_ideal"], ".1%")),
    ("of peak", lambda row: _number(row["of_peak"], ".1%")),
    ("peak MiB", lambda row: f"{row['peak_bytes'] / _MIB:,.0f}"),
]


def step_table(report: Dict[str, Any], num_contexts: int) -> str:
    """One batch size's table, with the machine's peak above it."""
    size, one, together = report["matmul_size"], report["peak_one"], report["peak_all"]
    return "\n".join([
        f"Batch of {report['batch_size']}: {report['step_flops'] / 1e9:.1f} GFLOP a step. Products of {size} x {size} "
        f"matrices: {one / 1e9:.1f} GFLOP/s on one context, {together / 1e9:.1f} on {num_contexts} at once "
        f"({together / one:.2f} times).", "",
        markdown([name for name, _ in _COLUMNS], [[cell(row) for _, cell in _COLUMNS] for row in report["rows"]])])


def memory_table(rows: Sequence[Dict[str, Any]]) -> str:
    """The table of activation memory by schedule and number of micro-batches."""
    counts = sorted(int(count) for count in rows[0]["activation_bytes"])
    header = ["schedule", *(f"{count} micro-batches, MiB" for count in counts), "ratio"]
    return markdown(header, [[f"`{row['schedule']}`",
                              *(f"{row['activation_bytes'][str(count)] / _MIB:,.1f}" for count in counts),
                              f"{row['ratio']:.2f}"] for row in rows])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A pipe table; the first column is aligned to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join("| " + " | ".join(f"{cell:{'>' if i else '<'}{width}}" for i, (cell, width) in
                                       enumerate(zip(cells, widths))) + " |" for cells in [header, rules, *rows])


def _number(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)
