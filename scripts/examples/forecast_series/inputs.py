"""What forecasters read: seasons before, and the network's columns."""
from __future__ import annotations

import numpy as np

from .generate import DAY, WEEK
from .windows import Windows

SEASONS = (DAY, WEEK)
"""Seasons that forecasters know of, in hours."""


def last_season(windows: Windows, season: int) -> np.ndarray:
    """The latest known value of each horizon step's place in the season: the seasonal-naive forecast.

    Parameters
    ----------
    windows : Windows
        What is forecast.
    season : int
        Its length in steps.

    Returns
    -------
    numpy.ndarray
        (N, H), in the series' own units.

    Raises
    ------
    ValueError
        If the history is shorter than the season.
    """
    length = windows.history.shape[1]
    if not 1 <= season <= length:
        raise ValueError(f"the season of {season} steps does not fit into the history of {length}; take a history "
                         "that is at least as long")
    return windows.history[:, length - season + np.arange(windows.horizon) % season]


def model_inputs(windows: Windows) -> np.ndarray:
    """What the network reads of ``windows``, (N, L + H, 2 + S + C) float32, each window to its own scale.

    The columns are the value (0 in the horizon), whether the step is in the horizon, what each of the S seasons says of
    it (`last_season`; 0 in the history), and the C covariates.
    """
    mean, deviation = windows.scale
    length = windows.history.shape[1]
    inputs = np.zeros((*windows.covariates.shape[:2], 2 + len(SEASONS)))
    inputs[:, :length, 0] = (windows.history - mean) / deviation
    inputs[:, length:, 1] = 1
    for i, season in enumerate(SEASONS):
        inputs[:, length:, 2 + i] = (last_season(windows, season) - mean) / deviation
    return np.concatenate([inputs, windows.covariates], axis=2).astype("float32")
