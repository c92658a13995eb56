"""Windows of history and horizon, split by time, and what forecasters read of them."""
from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Dict, Iterator, List, Sequence, Tuple

import mxnet as mx
import numpy as np

from mxmp.data.prefetch import prefetch

from .series import COVARIATES, DAY, WEEK, SeriesSet

SEASONS = (DAY, WEEK)  # that forecasters know of, in hours
INPUT_SIZE = 2 + len(SEASONS) + len(COVARIATES)  # columns of `model_inputs`


@dataclass(frozen=True)
class Windows:
    """N windows of one split, in the series' own units."""

    history: np.ndarray  # (N, L), what is known at the origin
    target: np.ndarray  # (N, H), what is to be forecast
    covariates: np.ndarray  # (N, L + H, C), known for the horizon too
    series: np.ndarray  # (N,) int, the series that each window is of
    begin: np.ndarray  # (N,) int, the hour of each window's first step

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


def split(series: SeriesSet, history: int, horizon: int, stride: int) -> Dict[str, Windows]:
    """Cut "train", "valid" and "test" windows, ``stride`` hours apart, out of three spans of time, one after the other:
    the last fifth of all hours is for test, the tenth before it for validation. A window lies in its span as a whole,
    history and horizon: no hour is in windows of two splits."""
    if min(history, horizon, stride) < 1:
        raise ValueError(f"history, horizon and stride must be at least 1, got {history}, {horizon} and {stride}")
    num_hours = series.values.shape[1]
    test = num_hours - int(num_hours * 0.2)
    valid = test - int(num_hours * 0.1)
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


def last_season(windows: Windows, season: int) -> np.ndarray:
    """The latest known value of each horizon step's place in a ``season`` of so many steps, (N, H): the seasonal-naive
    forecast, in the series' own units."""
    length = windows.history.shape[1]
    if not 1 <= season <= length:
        raise ValueError(f"the season of {season} steps does not fit into the history of {length}; take a history "
                         "that is at least as long")
    return windows.history[:, length - season + np.arange(windows.horizon) % season]


def model_inputs(windows: Windows) -> np.ndarray:
    """What the network reads of ``windows``, (N, L + H, 2 + S + C) float32, each window to its own scale: the value (0
    in the horizon), whether the step is in the horizon, what each of the S seasons says of it (`last_season`; 0 in the
    history), and the C covariates."""
    mean, deviation = windows.scale
    length = windows.history.shape[1]
    inputs = np.zeros((*windows.covariates.shape[:2], 2 + len(SEASONS)))
    inputs[:, :length, 0] = (windows.history - mean) / deviation
    inputs[:, length:, 1] = 1
    for i, season in enumerate(SEASONS):
        inputs[:, length:, 2 + i] = (last_season(windows, season) - mean) / deviation
    return np.concatenate([inputs, windows.covariates], axis=2).astype("float32")


def batches(arrays: Sequence[np.ndarray], batch_size: int, seed: int, epoch: int) -> Iterator[List[mx.nd.NDArray]]:
    """All rows of ``arrays`` once, in an order that ``seed`` and ``epoch`` decide; made some steps ahead."""
    order = np.random.RandomState([seed, epoch]).permutation(len(arrays[0]))
    return prefetch(lambda rows: [mx.nd.array(array[rows]) for array in arrays],
                    [order[begin:begin + batch_size] for begin in range(0, len(order), batch_size)])
