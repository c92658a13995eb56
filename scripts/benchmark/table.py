"""Tables in Markdown that are aligned as text, too."""
from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

Columns = Dict[str, Callable[[Any], str]]  # what a row has in the column of each heading, in the table's order


def markdown(columns: Columns, rows: Sequence[Any]) -> str:
    """A pipe table of the rows; the first column is aligned to the left, all others to the right."""
    lines = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join("| " + " | ".join(f"{cell:{'>' if i else '<'}{width}}" for i, (cell, width) in
                                       enumerate(zip(line, widths))) + " |" for line in lines)
