"""Tables in Markdown that are aligned as text, too."""
from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

Columns = Dict[str, Callable[[Any], str]]  # what a row has in the column of each heading, in the table's order


def cell(key: str, form: str = "", factor: float = 1) -> Callable[[Any], str]:
    """A column of what rows have under a key, times a factor, in a format; "-" where it is None."""
    return lambda row: "-" if row[key] is None else format(factor * row[key], form)


def markdown(columns: Columns, rows: Sequence[Any]) -> str:
    """A pipe table of the rows; the first column is aligned to the left, all others to the right."""
    lines = [list(columns), *([entry(row) for entry in columns.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join("| " + " | ".join(f"{text:{'>' if i else '<'}{width}}" for i, (text, width) in
                                       enumerate(zip(line, widths))) + " |" for line in lines)
