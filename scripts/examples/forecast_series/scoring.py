"""Errors of forecasts, absolute, squared and in units of a naive forecast's, and a picture of both."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np

from mxmp.writing import write_aside

from .series import COVARIATES, DAY, SeriesSet
from .windows import Windows

_STYLES = {"network": ("#d1661c", "-"), "linear": ("#1f4e79", "--"), "seasonal_naive": ("#999999", ":")}
_SHOWN = 4


def mae(forecast: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The mean absolute error of each horizon step, (H,), of a ``forecast`` (N, H) of the ``target`` (N, H)."""
    return np.abs(forecast - target).mean(axis=0)


def rmse(forecast: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The root of the mean squared error of each step, (H,), of a ``forecast`` (N, H) of the ``target`` (N, H)."""
    return np.sqrt(np.square(forecast - target).mean(axis=0))


def naive_scale(series: SeriesSet, season: int, end: int) -> np.ndarray:
    """The mean absolute change of each of ``series`` over a ``season`` within the hours before ``end``, (K,): what MASE
    divides errors by (Hyndman and Koehler 2006, "Another look at measures of forecast accuracy", section 3, for a
    season of one step)."""
    if not 1 <= season < end:
        raise ValueError(f"{end} hours of training hold no two hours a season of {season} apart")
    before = series.values[:, :end]
    return np.abs(before[:, season:] - before[:, :-season]).mean(axis=1)


def scores(forecast: np.ndarray, windows: Windows, scale: np.ndarray) -> Dict[str, Any]:
    """All errors of one forecast (N, H), to the `naive_scale` (K,): "mae" and "rmse" in the series' own units and
    "mase" over all steps, and "mase_by_step", a list of H numbers with four decimals."""
    scaled = mae(forecast / scale[windows.series, None], windows.target / scale[windows.series, None])
    return {"mae": float(mae(forecast, windows.target).mean()),
            "rmse": float(np.sqrt(np.square(rmse(forecast, windows.target)).mean())),
            "mase": float(scaled.mean()), "mase_by_step": [round(float(value), 4) for value in scaled]}


def draw(path: Path, windows: Windows, forecasts: Dict[str, np.ndarray], errors: Dict[str, Dict[str, Any]]) -> None:
    """Draw evenly chosen windows with the forecasts (N, H) "network", "linear" and "seasonal_naive", and their MASE by
    step, out of their `scores` by the same names."""
    from matplotlib.figure import Figure  # takes half a second to load
    figure = Figure(figsize=(11, 7), layout="constrained")
    grid = figure.add_gridspec(3, 2)
    rows = np.linspace(0, len(windows) - 1, _SHOWN + 2).astype(int)[1:-1]
    for i, row in enumerate(rows):
        _draw_window(figure.add_subplot(grid[i // 2, i % 2]), windows, forecasts, row)
    axes = figure.add_subplot(grid[2, :])
    steps = np.arange(1, windows.horizon + 1)
    for name, (color, line) in _STYLES.items():
        axes.plot(steps, errors[name]["mase_by_step"], line, color=color, label=name.replace("_", " "))
    axes.set_xlabel("hours ahead")
    axes.set_ylabel("MASE")
    axes.set_ylim(bottom=0)
    axes.legend()
    with write_aside(path) as partial:
        figure.savefig(partial, dpi=110)


def _draw_window(axes: Any, windows: Windows, forecasts: Dict[str, np.ndarray], row: int) -> None:
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
