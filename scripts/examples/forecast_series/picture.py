"""Some test windows with all forecasts, and the error by how far ahead it is."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np

from .generate import COVARIATES, DAY
from .windows import Windows

_STYLES = {"network": ("#d1661c", "-"), "linear": ("#1f4e79", "--"), "seasonal_naive": ("#999999", ":")}
_SHOWN = 4


def draw(path: Path, windows: Windows, forecasts: Dict[str, np.ndarray], errors: Dict[str, Dict[str, Any]]) -> None:
    """Draw evenly chosen windows, and MASE by step.

    Parameters
    ----------
    path : Path
        The picture's file.
    windows : Windows
        What was forecast.
    forecasts : dict of str to numpy.ndarray
        (N, H) each: "network", "linear" and "seasonal_naive".
    errors : dict of str to dict
        As of `errors.scores`, by the same names.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 7), layout="constrained")
    grid = figure.add_gridspec(3, 2)
    rows = np.linspace(0, len(windows) - 1, _SHOWN + 2).astype(int)[1:-1]
    for i, row in enumerate(rows):
        _window(figure.add_subplot(grid[i // 2, i % 2]), windows, forecasts, row)
    axes = figure.add_subplot(grid[2, :])
    steps = np.arange(1, windows.horizon + 1)
    for name, (color, line) in _STYLES.items():
        axes.plot(steps, errors[name]["mase_by_step"], line, color=color, label=name.replace("_", " "))
    axes.set_xlabel("hours ahead")
    axes.set_ylabel("MASE")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path, dpi=110)


def _window(axes: Any, windows: Windows, forecasts: Dict[str, np.ndarray], row: int) -> None:
    length, horizon = windows.history.shape[1], windows.horizon
    past, ahead = np.arange(-min(2 * DAY, length), 0), np.arange(horizon)
    axes.plot([*past, *ahead], [*windows.history[row, past], *windows.target[row]], color="black")
    for name, (color, line) in _STYLES.items():
        axes.plot(ahead, forecasts[name][row], line, color=color)
    event = windows.covariates[row, length - len(past):, COVARIATES.index("event")] > 0
    axes.fill_between(np.arange(-len(past), horizon), 0, 1, where=event, color="#f3e3b3", step="mid",
                      transform=axes.get_xaxis_transform())
    axes.axvline(-0.5, color="#cccccc", zorder=0)
    axes.set_title(f"series {windows.series[row]}, hour {windows.begin[row] + length}", fontsize=9)
