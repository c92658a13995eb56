"""What a forecast must beat: the season before, and linear models of all that the network reads."""
from __future__ import annotations

from typing import List, Sequence, Tuple

import numpy as np

from .errors import mae
from .inputs import SEASONS, last_season
from .windows import Windows


def best_season(windows: Windows, seasons: Sequence[int] = SEASONS) -> int:
    """The season whose seasonal-naive forecast (`last_season`) has the smallest mean absolute error.

    Parameters
    ----------
    windows : Windows
        Training windows.
    seasons : sequence of int
        Those to choose from, in steps.

    Returns
    -------
    int
        The season.
    """
    return min(seasons, key=lambda season: float(np.mean(mae(last_season(windows, season), windows.target))))


class LinearForecaster:
    """Autoregressions with exogenous inputs: ridge regression, with coefficients of its own for each step ("direct").

    They read each window's whole history, to the window's own scale as the network does, and the covariates of history
    and horizon. One regression serves all series, or each series has its own, and the coefficients are shrunk more or
    less: whatever has the smallest mean absolute error on validation windows.

    Parameters
    ----------
    train : Windows
        What it is fitted to.
    valid : Windows
        What decides.
    strengths : sequence of float
        Those to choose from, as of `ridge`.

    Attributes
    ----------
    per_series : bool
        Whether each series has a regression of its own.
    strength : float
        The one chosen.

    Raises
    ------
    ValueError
        If a strength is not positive.
    """

    def __init__(self, train: Windows, valid: Windows, strengths: Sequence[float] = (10, 100, 1000)) -> None:
        tried = []
        for self.per_series in (False, True):
            fits = [ridge(_columns(part), part.scaled_target, strengths) for part in self._parts(train)]
            for i, self.strength in enumerate(strengths):
                self._fits = [fit[i] for fit in fits]
                error = float(np.mean(mae(self(valid), valid.target)))
                tried.append((error, self.per_series, self.strength, self._fits))
        _, self.per_series, self.strength, self._fits = min(tried, key=lambda choice: choice[0])

    def __call__(self, windows: Windows) -> np.ndarray:
        """The forecast of ``windows``, (N, H), which are of the series that it was fitted to."""
        forecast = np.empty_like(windows.target)
        for group, (part, fit) in enumerate(zip(self._parts(windows), self._fits)):
            rows = windows.series == group if self.per_series else slice(None)
            forecast[rows] = part.unscaled(_columns(part) @ fit[0] + fit[1])
        return forecast

    def _parts(self, windows: Windows) -> List[Windows]:
        """The windows that share a regression, together."""
        if not self.per_series:
            return [windows]
        return [windows.of(series) for series in range(int(windows.series.max()) + 1)]


def ridge(read: np.ndarray, target: np.ndarray, strengths: Sequence[float]) -> List[Tuple[np.ndarray, np.ndarray]]:
    """Ridge regressions whose intercepts are not shrunk.

    Hastie, Tibshirani and Friedman 2009, "The Elements of Statistical Learning", section 3.4.1, equation 3.44; with
    fewer rows than columns in its dual form, which has the same solution.

    Parameters
    ----------
    read : numpy.ndarray
        (N, D), what the target is a linear function of.
    target : numpy.ndarray
        (N, H).
    strengths : sequence of float
        What is added to the diagonal of the products of the centred columns, above 0.

    Returns
    -------
    list of (numpy.ndarray, numpy.ndarray)
        Coefficients (D, H) and intercepts (H,) for each strength.

    Raises
    ------
    ValueError
        If a strength is not positive.
    """
    if not min(strengths) > 0:
        raise ValueError(f"ridge strengths must be above 0, got {list(strengths)}")
    middle, target_middle = read.mean(axis=0), target.mean(axis=0)
    read, target = read - middle, target - target_middle
    dual = len(read) < read.shape[1]
    products = read @ read.T if dual else read.T @ read
    fits = []
    for strength in strengths:
        shrunk = products + strength * np.eye(len(products))
        found = read.T @ np.linalg.solve(shrunk, target) if dual else np.linalg.solve(shrunk, read.T @ target)
        fits.append((found, target_middle - middle @ found))
    return fits


def _columns(windows: Windows) -> np.ndarray:
    """History and covariates of each window in one row, (N, L + (L + H) C)."""
    mean, deviation = windows.scale
    known = windows.covariates.reshape(len(windows), -1)
    return np.concatenate([(windows.history - mean) / deviation, known], axis=1)
