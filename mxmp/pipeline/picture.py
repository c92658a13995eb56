"""Pictures of units over time, as in papers about pipelines."""
from __future__ import annotations

from typing import Any, Sequence

_COLOURS = {"F": "#8fb8de", "B": "#f2b279"}


def draw(path: str, spans: Sequence[Any], rows: Sequence[str], title: str) -> None:
    """Draw a row per stage and a box per unit.

    Parameters
    ----------
    path : str
        The picture's file; its ending chooses the format.
    spans : sequence of (Unit, float, float)
        Units with start and end in seconds.
    rows : sequence of str
        The stages' names.
    title : str
        Stands above.
    """
    from matplotlib.figure import Figure  # takes half a second to load
    begin = min(start for _, start, _ in spans)
    milliseconds = 1e3 * (max(end for _, _, end in spans) - begin)
    chunked = any(unit.chunk for unit, _, _ in spans)
    figure = Figure(figsize=(10, 0.8 + 0.7 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for unit, start, end in spans:
        left, width = 1e3 * (start - begin), 1e3 * (end - start)
        axes.barh(unit.stage, width, left=left, height=0.8, color=_COLOURS[unit.kind], edgecolor="white")
        if width > 0.012 * milliseconds:  # else the letters would cover the neighbours
            axes.text(left + width / 2, unit.stage, f"{unit.microbatch}.{unit.chunk}" if chunked else str(unit),
                      ha="center", va="center", fontsize=7 if chunked else 8)
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.set_xlim(0, milliseconds)
    axes.set_xlabel("milliseconds")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(title, fontsize=10)
    figure.savefig(path, dpi=130)
