"""The forecasting run: data, steps, and all forecasts of the test windows side by side."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import mxnet as mx
import numpy as np

from mxmp.data.prefetch import prefetch
from mxmp.planning import analytic
from mxmp.tasks.results import describe_run, write_results
from mxmp.tasks.short import ShortRun

from .baselines import LinearForecaster, best_season
from .errors import naive_scale, scores
from .generate import WEEK, generate
from .inputs import last_season, model_inputs
from .model import series_chain
from .options import SeriesOptions
from .picture import draw
from .windows import Windows, split, train_end

_log = logging.getLogger(f"mxmp.{__name__}")
_STRIDE = 5  # hours between windows: it has no factor in common with a week, so that windows start at all hours
_ROWS = 256  # of a batch that is only forecast


class Forecasting(ShortRun):
    """One run, from its options to ``results.json`` and ``forecasts.png``.

    Parameters
    ----------
    options : SeriesOptions
        The flags.
    contexts : list of mx.Context
        Where the layers live.
    folder : Path
        The run's folder.

    Raises
    ------
    ValueError
        If the series are too short for the windows, or the plan does not suit the layers and contexts.
    """

    measure = "MASE"
    unit = "hours"

    def __init__(self, options: SeriesOptions, contexts: List[mx.Context], folder: Path) -> None:
        series = generate(options.num_series, options.num_weeks * WEEK, options.seed)
        self._windows = split(series, options.history, options.horizon, _STRIDE)
        train = self._windows["train"]
        self._season = best_season(train)
        self._scale = naive_scale(series, self._season, train_end(self._windows))
        self._inputs, self._target = model_inputs(train), train.scaled_target[:, :, None].astype("float32")
        _log.info("%d series of %d hours: %s", options.num_series, series.values.shape[1], ", ".join(
            f"{len(windows)} {name} windows" for name, windows in self._windows.items()))
        width = self._inputs.shape[2]
        chain = series_chain(options.num_series, width, options.horizon, options.hidden_size, options.num_layers)
        costs = analytic(chain, (options.batch_size, self._inputs.shape[1], width), (options.batch_size,))
        super().__init__(options, chain, costs, mx.gluon.loss.L1Loss(), contexts, folder,
                         -(-len(train) // options.batch_size))

    def _batches(self, epoch: int, start: int) -> Iterator[Any]:
        rows, size = len(self._inputs), self.options.batch_size
        order = np.random.RandomState([self.options.seed, epoch]).permutation(rows)
        return prefetch(self._make, [order[begin:begin + size] for begin in range(start * size, rows, size)])

    def _make(self, rows: np.ndarray) -> Tuple[mx.nd.NDArray, mx.nd.NDArray, mx.nd.NDArray]:
        series = self._windows["train"].series[rows]
        return mx.nd.array(self._inputs[rows]), mx.nd.array(series), mx.nd.array(self._target[rows])

    def _train(self, batch: Any) -> Tuple[mx.nd.NDArray, int, int]:
        steps, series, target = batch
        return self.pipe.forward_backward((steps, series), target), len(series), steps.shape[0] * steps.shape[1]

    def forecast(self, windows: Windows) -> np.ndarray:
        """The network's forecast of ``windows`` in the series' own units, (N, H)."""
        parts = []
        inputs = model_inputs(windows)
        for begin in range(0, len(windows), _ROWS):
            end = begin + _ROWS
            out = self.pipe((mx.nd.array(inputs[begin:end]), mx.nd.array(windows.series[begin:end])))
            parts.append(out.asnumpy()[:, :, 0])
        return windows.unscaled(np.concatenate(parts))

    def _error(self) -> float:
        valid = self._windows["valid"]
        return float(scores(self.forecast(valid), valid, self._scale)["mase"])

    def _finish(self) -> Dict[str, Any]:
        self._load_best()
        linear = LinearForecaster(self._windows["train"], self._windows["valid"])
        test = self._windows["test"]
        forecasts = {"network": self.forecast(test), "linear": linear(test),
                     "seasonal_naive": last_season(test, self._season)}
        errors = {name: scores(forecast, test, self._scale) for name, forecast in forecasts.items()}
        self._tick()
        draw(self._folder / "forecasts.png", test, forecasts, errors)
        results = {"test": errors, "test_windows": len(test), "season": self._season,
                   "linear": {"per_series": linear.per_series, "strength": linear.strength},
                   **describe_run(self.options, self.plan, self.progress, (mx, np))}
        write_results(self._folder, results)
        for name, error in errors.items():
            _log.info("test: %-14s MASE %.4f, MAE %.4f, RMSE %.4f", name, error["mase"], error["mae"], error["rmse"])
        return results
