"""What a forecast must beat: the season before, and linear models of all that the network reads."""
from __future__ import annotations

from typing import List, Sequence, Tuple

import numpy as np

from .scoring import mae
from .windows import SEASONS, Windows, last_season


def best_season(windows: Windows, seasons: Sequence[int] = SEASONS) -> int:
    """The season whose seasonal-naive forecast (`last_season`) has the smallest mean absolute error."""
    return min(seasons, key=lambda season: float(np.mean(mae(last_season(windows, season), windows.target))))


class LinearForecaster:
    """Autoregressions with exogenous inputs: ridge regression, with coefficients of its own for each step ("direct").

    They read each window's whole history, to the window's own scale as the network does, and the covariates of history
    and horizon. One regression serves all series, or each has its own (``per_series``), and the coefficients are shrunk
    more or less (``strength``): whatever has the smallest mean absolute error on the windows ``valid``.
    """

    def __init__(self, train: Windows, valid: Windows, strengths: Sequence[float] = (10, 100, 1000)) -> None:
        choices = []
        for self.per_series in (False, True):
            fits = [ridge(_columns(group), group.scaled_target, strengths) for group in self._groups(train)]
            for i, self.strength in enumerate(strengths):
                self._fits = [fit[i] for fit in fits]
                error = float(np.mean(mae(self(valid), valid.target)))
                choices.append((error, self.per_series, self.strength, self._fits))
        _, self.per_series, self.strength, self._fits = min(choices, key=lambda choice: choice[0])

    def __call__(self, windows: Windows) -> np.ndarray:
        """The forecast of ``windows``, (N, H), which are of the series that it was fitted to."""
        forecast = np.empty_like(windows.target)
        for i, (group, (coefficients, intercepts)) in enumerate(zip(self._groups(windows), self._fits)):
            rows = windows.series == i if self.per_series else slice(None)
            forecast[rows] = group.unscaled(_columns(group) @ coefficients + intercepts)
        return forecast

    def _groups(self, windows: Windows) -> List[Windows]:
        """The windows that share a regression, together."""
        if not self.per_series:
            return [windows]
        return [windows.of(series) for series in range(int(windows.series.max()) + 1)]


def ridge(inputs: np.ndarray, target: np.ndarray, strengths: Sequence[float]) -> List[Tuple[np.ndarray, np.ndarray]]:
    """Ridge regressions of the ``target`` (N, H) on the ``inputs`` (N, D) whose intercepts are not shrunk: coefficients
    (D, H) and intercepts (H,) for each strength above 0, which is added to the diagonal of the products of the centred
    columns.

    Hastie, Tibshirani and Friedman 2009, "The Elements of Statistical Learning", section 3.4.1, equation 3.44; with
    fewer rows than columns in its dual form, which has the same solution.
    """
    if not min(strengths) > 0:
        raise ValueError(f"ridge strengths must be above 0, got {list(strengths)}")
    middle, target_middle = inputs.mean(axis=0), target.mean(axis=0)
    inputs, target = inputs - middle, target - target_middle
    dual = len(inputs) < inputs.shape[1]
    products = inputs @ inputs.T if dual else inputs.T @ inputs
    fits = []
    for strength in strengths:
        shrunk = products + strength * np.eye(len(products))
        coefficients = (inputs.T @ np.linalg.solve(shrunk, target) if dual
                        else np.linalg.solve(shrunk, inputs.T @ target))
        fits.append((coefficients, target_middle - middle @ coefficients))
    return fits


def _columns(windows: Windows) -> np.ndarray:
    """History and covariates of each window in one row, (N, L + (L + H) C)."""
    mean, deviation = windows.scale
    known = windows.covariates.reshape(len(windows), -1)
    return np.concatenate([(windows.history - mean) / deviation, known], axis=1)
