"""The whole program on a tiny set: results, reproducible by seed, baselines recomputed, errors in one line."""
import json
import re

import mxnet as mx
import numpy as np
import pytest
from forecast_series.options import SeriesOptions
from forecast_series.scoring import naive_scale, scores
from forecast_series.series import generate
from forecast_series.train import build, forecast, run, train
from forecast_series.windows import split, train_end
from helpers import programs

TINY = {"num_series": 3, "num_weeks": 14, "hidden_size": 8, "epochs": 2, "batch_size": 48, "num_microbatches": 2}


def run_program(*arguments):
    return programs.run("examples/forecast_series", *(f"--{name}={value}" for name, value in TINY.items()), *arguments)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series") / "run"
    done = run_program("--output_dir", folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "results.json").read_text())


def test_a_run_leaves_results_a_picture_and_a_log(finished):
    folder, results = finished
    assert results["plan"] == {"layers": [2, 3], "contexts": ["cpu(0)", "cpu(1)"]}
    assert results["options"]["num_series"] == 3 and results["steps"] == 2 * -(-3 * 292 // 48)
    for name in ("network", "linear", "seasonal_naive"):
        assert len(results["test"][name]["mase_by_step"]) == 24
        assert results["test"][name]["mase"] == pytest.approx(np.mean(results["test"][name]["mase_by_step"]), abs=1e-4)
    assert (folder / "forecasts.png").read_bytes().startswith(b"\x89PNG")
    log = (folder / "train.log").read_text()
    assert re.search(r"step 38/38 loss \d+\.\d+ \d+ hours/s norm", log) and "epoch 2 valid: MASE" in log
    assert re.search(r"test: network +MASE \d+\.\d+, MAE \d+\.\d+, RMSE \d+\.\d+", log)


def test_the_naive_errors_are_those_of_loops_over_the_test_windows(finished):
    _, results = finished
    values, season, hours = generate(3, 14 * 168, 1).values, results["season"], 14 * 168
    test, valid = hours - int(hours * 0.2), hours - int(hours * 0.2) - int(hours * 0.1)
    errors, scaled = [], []
    for series in values:
        scale = np.mean([abs(series[t] - series[t - season]) for t in range(season, valid)])
        for begin in range(test, hours - 192 + 1, 5):
            for step in range(begin + 168, begin + 192):
                errors.append(abs(series[step] - series[step - season]))
                scaled.append(errors[-1] / scale)
    assert results["test_windows"] == len(errors) // 24
    assert results["test"]["seasonal_naive"]["mae"] == pytest.approx(np.mean(errors))
    assert results["test"]["seasonal_naive"]["mase"] == pytest.approx(np.mean(scaled))


def test_the_same_seed_gives_the_same_forecasts(finished, tmp_path):
    assert run(SeriesOptions(**TINY, output_dir=str(tmp_path / "again")))["test"] == finished[1]["test"]


def test_the_parameters_of_the_best_epoch_are_kept_and_give_the_networks_errors(finished):
    folder, results = finished
    series = generate(3, 14 * 168, 1)
    windows = split(series, 168, 24, 5)
    scale = naive_scale(series, results["season"], train_end(windows))
    with build(SeriesOptions(**TINY), [mx.cpu(0)]) as pipe:
        pipe.load_parameters(str(folder / "best.params"))
        test, valid = (scores(forecast(pipe, part), part, scale) for part in (windows["test"], windows["valid"]))
    assert test["mase"] == pytest.approx(results["test"]["network"]["mase"], rel=1e-5)
    errors = re.findall(r"valid: MASE (\d+\.\d+)", (folder / "train.log").read_text())
    assert len(errors) == 2 and valid["mase"] == pytest.approx(min(map(float, errors)), abs=1e-4)


def test_of_epochs_with_the_same_error_the_last_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("forecast_series.train.scores", lambda forecast, windows, scale: {"mase": 1.0})
    windows = split(generate(3, 14 * 168, 1), 168, 24, 5)
    with build(SeriesOptions(**TINY), [mx.cpu(0)]) as pipe:
        train(SeriesOptions(**TINY), pipe, windows, np.ones(3), tmp_path)
        pipe.save_parameters(str(tmp_path / "last.params"))
    best, last = (mx.nd.load(str(tmp_path / f"{name}.params")) for name in ("best", "last"))
    assert all((best[name].asnumpy() == last[name].asnumpy()).all() for name in last)


@pytest.mark.parametrize("wrong, message", [
    (["--history", "100"], "--history must be at least 168, got 100"),
    (["--epochs", "0"], "--epochs must be at least 1, got 0"),
    (["--num_weeks", "8"], "the valid span of 134 hours is shorter than a window"),
    (["--plan", "2,2"], "places 4 layers, but the chain has 5"),
    (["--learning_rate", "1e38"], "lower --learning_rate (now 1e+38) and choose another --output_dir")])
def test_a_mistake_gets_one_line(tmp_path, wrong, message):
    done = run_program("--output_dir", tmp_path / "run", *wrong)
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_folder_in_use_is_refused(finished):
    folder, _ = finished
    done = run_program("--output_dir", folder)
    assert "holds a training run; choose another --output_dir" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
