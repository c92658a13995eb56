"""Windows of history and horizon, split by time, as arrays that every forecaster reads."""
from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Dict, Tuple

import numpy as np

from .generate import SeriesSet


@dataclass(frozen=True)
class Windows:
    """N windows of one split, in the series' own units.

    Parameters
    ----------
    history : numpy.ndarray
        (N, L), what is known at the origin.
    target : numpy.ndarray
        (N, H), what is to be forecast.
    covariates : numpy.ndarray
        (N, L + H, C), known for the horizon too.
    series : numpy.ndarray
        (N,) int, the series that each window is of.
    begin : numpy.ndarray
        (N,) int, the hour of each window's first step.
    """

    history: np.ndarray
    target: np.ndarray
    covariates: np.ndarray
    series: np.ndarray
    begin: np.ndarray

    def __len__(self) -> int:
        return len(self.series)

    @property
    def horizon(self) -> int:
        """Steps H."""
        return self.target.shape[1]

    @property
    def scale(self) -> Tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each history, (N, 1) both: what makes windows of all series alike."""
        return self.history.mean(1, keepdims=True), self.history.std(1, keepdims=True) + 1e-6

    @property
    def scaled_target(self) -> np.ndarray:
        """(N, H), the target to its window's scale."""
        mean, deviation = self.scale
        return (self.target - mean) / deviation

    def unscaled(self, forecast: np.ndarray) -> np.ndarray:
        """A ``forecast`` (N, H) to each window's scale, in the series' own units."""
        mean, deviation = self.scale
        return forecast * deviation + mean

    def of(self, series: int) -> Windows:
        """The windows of one ``series``."""
        rows = self.series == series
        return Windows(*(getattr(self, field.name)[rows] for field in fields(self)))


def split(series: SeriesSet, history: int, horizon: int, stride: int, shares: Tuple[float, float] = (0.1, 0.2)
          ) -> Dict[str, Windows]:
    """Cut training, validation and test windows out of three spans of time, one after the other.

    A window lies in its span as a whole, history and horizon: no hour is in windows of two splits.

    Parameters
    ----------
    series : SeriesSet
        All series, whose spans are the same.
    history, horizon : int
        Steps L and H.
    stride : int
        Hours from one window of a series to the next; one that has no factor in common with a week starts windows at
        all hours.
    shares : tuple of float
        Shares of all hours that are for validation and test, at the end.

    Returns
    -------
    dict of str to Windows
        "train", "valid" and "test".

    Raises
    ------
    ValueError
        If a number is below 1, or a span is shorter than a window.
    """
    if min(history, horizon, stride) < 1:
        raise ValueError(f"history, horizon and stride must be at least 1, got {history}, {horizon} and {stride}")
    num_hours = series.values.shape[1]
    test = num_hours - int(num_hours * shares[1])
    valid = test - int(num_hours * shares[0])
    spans = {"train": (0, valid), "valid": (valid, test), "test": (test, num_hours)}
    return {name: _cut(series, name, span, history, horizon, stride) for name, span in spans.items()}


def train_end(windows: Dict[str, Windows]) -> int:
    """The first hour that no training window of ``windows`` (what `split` gave) may see."""
    return int(windows["valid"].begin.min())


def _cut(series: SeriesSet, name: str, span: Tuple[int, int], history: int, horizon: int, stride: int) -> Windows:
    begins = np.arange(span[0], span[1] - history - horizon + 1, stride)
    if not len(begins):
        raise ValueError(f"the {name} span of {span[1] - span[0]} hours is shorter than a window of {history} + "
                         f"{horizon}; generate more hours, or take a shorter history or horizon")
    steps = begins[:, None] + np.arange(history + horizon)  # (B, L + H)
    num_series = len(series.values)
    values = series.values[:, steps].reshape(-1, history + horizon)  # (K B, L + H)
    covariates = series.covariates[:, steps].reshape(*values.shape, -1)
    return Windows(values[:, :history], values[:, history:], covariates, np.repeat(np.arange(num_series), len(begins)),
                   np.tile(begins, num_series))
