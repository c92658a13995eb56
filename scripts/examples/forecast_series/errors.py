"""Measures of forecasts: absolute and squared errors, and errors in units of a naive forecast's."""
from __future__ import annotations

from typing import Any, Dict

import numpy as np

from .generate import SeriesSet
from .windows import Windows


def mae(forecast: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The mean absolute error of each horizon step, (H,), of a ``forecast`` (N, H) of the ``target`` (N, H)."""
    return np.abs(forecast - target).mean(axis=0)


def rmse(forecast: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The root of the mean squared error of each step, (H,), of a ``forecast`` (N, H) of the ``target`` (N, H)."""
    return np.sqrt(np.square(forecast - target).mean(axis=0))


def naive_scale(series: SeriesSet, season: int, end: int) -> np.ndarray:
    """The mean absolute change of each of ``series`` over a ``season`` within the hours before ``end``, (K,).

    What MASE divides errors by (Hyndman and Koehler 2006, "Another look at measures of forecast accuracy", section 3,
    for a season of one step).

    Raises
    ------
    ValueError
        If there is no hour that has one a season before it.
    """
    if not 1 <= season < end:
        raise ValueError(f"{end} hours of training hold no two hours a season of {season} apart")
    before = series.values[:, :end]
    return np.abs(before[:, season:] - before[:, :-season]).mean(axis=1)


def scores(forecast: np.ndarray, windows: Windows, scale: np.ndarray) -> Dict[str, Any]:
    """All measures of one forecast, over all steps and by step.

    Parameters
    ----------
    forecast : numpy.ndarray
        (N, H).
    windows : Windows
        What was forecast.
    scale : numpy.ndarray
        (K,), as of `naive_scale`.

    Returns
    -------
    dict
        "mae" and "rmse" in the series' own units and "mase" over all steps, and "mase_by_step", a list of H numbers
        with four decimals.
    """
    scaled = mae(forecast / scale[windows.series, None], windows.target / scale[windows.series, None])
    return {"mae": float(mae(forecast, windows.target).mean()),
            "rmse": float(np.sqrt(np.square(rmse(forecast, windows.target)).mean())),
            "mase": float(scaled.mean()), "mase_by_step": [round(float(value), 4) for value in scaled]}
