"""Pictures: units over time, as in papers about pipelines, and plans as contexts with their layers."""
from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from .schedule import Span
from .sizes import format_bytes
from .writing import write_aside

_COLOURS = {"F": "#8fb8de", "B": "#f2b279"}
_COMPUTE, _MEMORY, _LAYER, _BOX = "#f2b279", "#9ccb9c", "#8fb8de", "#f4f4f4"


def draw_units(path: str, spans: Sequence[Span], rows: Sequence[str], title: str,
               rows_of_stages: Sequence[int] = ()) -> None:
    """Draw ``rows``, of which these are the names, and a box per unit to ``path``; its ending chooses the format.

    Each stage has a row of its own, unless ``rows_of_stages`` say which; a unit's text begins with its stage then.
    """
    from matplotlib.figure import Figure  # takes half a second to load
    begin = min(start for _, start, _ in spans)
    milliseconds = 1e3 * (max(end for _, _, end in spans) - begin)
    chunked = any(unit.chunk for unit, _, _ in spans)
    staged = len(rows_of_stages) > len(rows)
    figure = Figure(figsize=(10, 0.8 + 0.7 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for unit, start, end in spans:
        left, width = 1e3 * (start - begin), 1e3 * (end - start)
        row = rows_of_stages[unit.stage] if staged else unit.stage
        axes.barh(row, width, left=left, height=0.8, color=_COLOURS[unit.kind], edgecolor="white")
        if width > 0.012 * milliseconds:  # else the letters would cover the neighbours
            text = f"{unit.microbatch}.{unit.chunk}" if chunked else str(unit)
            axes.text(left + width / 2, row, f"{unit.stage}{unit}" if staged else text,
                      ha="center", va="center", fontsize=7 if chunked else 8)
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.set_xlim(0, milliseconds)
    axes.set_xlabel("milliseconds")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(title, fontsize=10)
    with write_aside(path) as partial:
        figure.savefig(partial, dpi=130)


def draw_plan(path: str, contexts: Sequence[str], layers: Sequence[Sequence[str]], shares: Sequence[float],
              sizes: Sequence[int], limit: Optional[int] = None) -> None:
    """Draw a box per context to ``path``, with its layers inside, the first one at the bottom.

    Bars show each context's share of the work, ``shares``, and the bytes that it holds, ``sizes``, of its ``limit``.
    """
    from matplotlib.figure import Figure  # takes half a second to load
    from matplotlib.patches import FancyBboxPatch
    tallest = max(map(len, layers))
    figure = Figure(figsize=(1.2 + 1.9 * len(contexts), 1.9 + 0.32 * tallest), layout="constrained")
    axes = figure.subplots()
    for x, (name, names) in enumerate(zip(contexts, layers)):
        axes.add_patch(FancyBboxPatch((x + 0.08, 0), 0.84, tallest, boxstyle="round,pad=0.03", facecolor=_BOX,
                                      edgecolor="#888888"))
        for y, layer in enumerate(names):
            axes.barh(y + 0.5, 0.78, left=x + 0.11, height=0.82, color=_LAYER, edgecolor="white")
            axes.text(x + 0.5, y + 0.5, layer, ha="center", va="center", fontsize=8)
        if x:
            axes.annotate("", (x + 0.05, 0.5), (x - 0.05, len(layers[x - 1]) - 0.5),
                          arrowprops={"arrowstyle": "->", "color": "#555555"})
        axes.text(x + 0.5, tallest + 0.35, name, ha="center", va="bottom", fontsize=10, weight="bold")
    for row, (colour, values) in enumerate(_bars(shares, sizes, limit)):
        for x, (filled, text) in enumerate(values):
            axes.barh(-0.9 - row, 0.84, left=x + 0.08, height=0.6, color="white", edgecolor="#bbbbbb")
            axes.barh(-0.9 - row, 0.84 * min(filled, 1.0), left=x + 0.08, height=0.6, color=colour)
            axes.text(x + 0.5, -0.9 - row, text, ha="center", va="center", fontsize=8)
    axes.set_xlim(0, len(contexts))
    axes.set_ylim(-2.4, tallest + 1.2)
    axes.axis("off")
    with write_aside(path) as partial:
        figure.savefig(partial, dpi=130)


def _bars(shares: Sequence[float], sizes: Sequence[int],
          limit: Optional[int]) -> List[Tuple[str, List[Tuple[float, Any]]]]:
    """Colours of the two rows of bars, and of each bar its filling, 0 to 1, and its text."""
    most = limit or max(*sizes, 1)
    return [(_COMPUTE, [(share / max(*shares, 1e-9), f"{share:.0%} of the work") for share in shares]),
            (_MEMORY, [(size / most, format_bytes(size) + (f" of {format_bytes(limit)}" if limit else ""))
                       for size in sizes])]
