"""The run from its data to its results: the model on several contexts, the training loop, and all forecasts of the test
windows side by side."""
from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any, Dict, List

import mxnet as mx
import numpy as np
from example_run import read_meter
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from mxmp import Pipeline, Trainer
from mxmp.planning import analytic
from mxmp.tasks.folder import open_folder
from mxmp.tasks.placing import choose_contexts, choose_plan
from mxmp.tasks.progress import Meter, Progress, describe_run, write_results

from .baselines import LinearForecaster, best_season
from .model import series_chain
from .options import SeriesOptions
from .scoring import draw, naive_scale, scores
from .series import WEEK, generate
from .windows import INPUT_SIZE, Windows, batches, last_season, model_inputs, split, train_end

_log = logging.getLogger("mxmp.forecast_series")
_STRIDE = 5  # hours between windows: it has no factor in common with a week, so that windows start at all hours
_ROWS = 256  # of a batch that is only forecast


def run(options: SeriesOptions) -> Dict[str, Any]:
    """Train the network and compare it with the baselines; returns the content of ``results.json``."""
    contexts = choose_contexts(options.contexts, options.gpus)
    folder = open_folder(options, "series")
    series = generate(options.num_series, options.num_weeks * WEEK, options.seed)
    windows = split(series, options.history, options.horizon, _STRIDE)
    season = best_season(windows["train"])
    scale = naive_scale(series, season, train_end(windows))
    _log.info("%d series of %d hours: %s", options.num_series, series.values.shape[1], ", ".join(
        f"{len(part)} {name} windows" for name, part in windows.items()))
    with build(options, contexts) as pipe, logging_redirect_tqdm([logging.getLogger("mxmp")]):
        progress = train(options, pipe, windows, scale, folder)
        started = time.perf_counter()
        pipe.load_parameters(str(folder / "best.params"))
        network = forecast(pipe, windows["test"])
    linear, test = LinearForecaster(windows["train"], windows["valid"]), windows["test"]
    forecasts = {"network": network, "linear": linear(test), "seasonal_naive": last_season(test, season)}
    errors = {name: scores(values, test, scale) for name, values in forecasts.items()}
    progress.seconds += time.perf_counter() - started
    draw(folder / "forecasts.png", test, forecasts, errors)
    results = {"test": errors, "test_windows": len(test), "season": season,
               "linear": {"per_series": linear.per_series, "strength": linear.strength},
               **describe_run(options, pipe.plan, progress, (mx, np))}
    write_results(folder, results)
    for name, error in errors.items():
        _log.info("test: %-14s MASE %.4f, MAE %.4f, RMSE %.4f", name, error["mase"], error["mae"], error["rmse"])
    return results


def build(options: SeriesOptions, contexts: List[mx.Context]) -> Pipeline:
    """The model, its layers spread over the contexts, with first values that the seed decides."""
    chain = series_chain(options.num_series, INPUT_SIZE, options.horizon, options.hidden_size, options.num_layers)
    steps_shape = options.batch_size, options.history + options.horizon, INPUT_SIZE
    costs = analytic(chain, steps_shape, (options.batch_size,))
    plan = choose_plan(costs, contexts, options.plan)
    _log.info("plan %s, %d micro-batches, %s:\n%s", plan, options.num_microbatches, options.schedule, plan.table(costs))
    pipe = Pipeline(chain, plan, mx.gluon.loss.L1Loss(), options.num_microbatches, schedule=options.schedule)
    mx.random.seed(options.seed)
    pipe.initialize()
    return pipe


def train(options: SeriesOptions, pipe: Pipeline, windows: Dict[str, Windows], scale: np.ndarray,
          folder: Path) -> Progress:
    """Train, and keep the parameters of the epoch with the lowest MASE on validation windows in ``best.params``."""
    arrays = model_inputs(windows["train"]), windows["train"].series, windows["train"].scaled_target[:, :, None]
    num_batches = -(-len(windows["train"]) // options.batch_size)
    num_steps = options.epochs * num_batches
    rates = mx.lr_scheduler.CosineScheduler(num_steps + 1, options.learning_rate, warmup_steps=min(50, num_steps // 2))
    trainer = Trainer(pipe, "adam", clip_norm=1.0)
    progress, lowest, started = Progress(), math.inf, time.perf_counter()
    for epoch in range(options.epochs):
        meter = Meter()
        bar = tqdm(batches(arrays, options.batch_size, options.seed, epoch), f"epoch {epoch + 1}/{options.epochs}",
                   num_batches, unit="batch", leave=False, disable=None)
        for steps, series, target in bar:
            rate = rates(progress.step + 1)
            trainer.set_learning_rate(rate)
            pipe.seed(options.seed, progress.step)
            loss = pipe.forward_backward((steps, series), target)
            norm = trainer.step(len(series))
            meter.add(loss, norm, len(series), steps.shape[0] * steps.shape[1])
            progress.step += 1
            if progress.step % 50 == 0 or progress.step % num_batches == 0:
                loss, norm, speed = read_meter(meter, progress, options)
                state = f"loss {loss:.4f} {speed:.0f} hours/s norm {norm:.3f} lr {rate:.2e}"
                bar.set_postfix_str(state)
                _log.info("epoch %d step %d/%d %s", epoch + 1, progress.step, num_steps, state)
                meter = Meter()
        error = scores(forecast(pipe, windows["valid"]), windows["valid"], scale)["mase"]
        progress.epoch, progress.seconds = epoch + 1, time.perf_counter() - started
        _log.info("epoch %d valid: MASE %.4f, after %.1f minutes", epoch + 1, error, progress.seconds / 60)
        if error <= lowest:  # of equal ones the later
            lowest = error
            pipe.save_parameters(str(folder / "best.params"))
    return progress


def forecast(pipe: Pipeline, windows: Windows) -> np.ndarray:
    """The network's forecast of ``windows`` in the series' own units, (N, H)."""
    inputs, outputs = model_inputs(windows), []
    for begin in range(0, len(windows), _ROWS):
        rows = slice(begin, begin + _ROWS)
        outputs.append(pipe((mx.nd.array(inputs[rows]), mx.nd.array(windows.series[rows]))).asnumpy()[:, :, 0])
    return windows.unscaled(np.concatenate(outputs))
