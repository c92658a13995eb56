"""The whole script on a tiny set: results, reproducible by seed, baselines recomputed, errors in one line."""
import json
import re
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from forecast_series.forecasting import Forecasting
from forecast_series.generate import generate
from forecast_series.options import SeriesOptions

ROOT = Path(__file__).parents[3]
TINY = {"num_series": 3, "num_weeks": 14, "hidden_size": 8, "epochs": 2, "batch_size": 48, "num_microbatches": 2}


def run(*arguments):
    flags = [text for name, value in TINY.items() for text in ("--" + name, str(value))]
    return subprocess.run([sys.executable, "scripts/examples/forecast_series", *flags, *map(str, arguments)], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series") / "run"
    done = run("--output_dir", folder)
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
    again = Forecasting(SeriesOptions(**TINY), [mx.cpu(0), mx.cpu(1)], tmp_path)
    assert again.run()["test"] == finished[1]["test"]
    again.pipe.close()


@pytest.mark.parametrize("wrong, message", [
    (["--history", "100"], "--history must be at least 168, got 100"),
    (["--epochs", "0"], "--epochs must be at least 1, got 0"),
    (["--num_weeks", "8"], "the valid span of 134 hours is shorter than a window"),
    (["--plan", "2,2"], "places 4 layers, but the chain has 5")])
def test_a_mistake_gets_one_line(tmp_path, wrong, message):
    done = run("--output_dir", tmp_path / "run", *wrong)
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_folder_in_use_is_refused(finished):
    folder, _ = finished
    done = run("--output_dir", folder)
    assert "holds a run; choose another --output_dir" in done.stderr and len(done.stderr.strip().splitlines()) == 1
