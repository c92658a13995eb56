"""The whole program on a tiny set: results, reproducible by seed, errors in one line."""
import json
import re

import mxnet as mx
import numpy as np
import pytest
from helpers import programs
from recognize_tones.batches import make_splits
from recognize_tones.decoding import best_path
from recognize_tones.options import TonesOptions
from recognize_tones.scoring import token_error_rate
from recognize_tones.train import build, log_probs, run, train

TINY = {"num_sounds": 60, "hidden_size": 8, "epochs": 2, "batch_size": 16, "num_microbatches": 2, "num_layers": 1}


def run_program(*arguments):
    return programs.run("examples/recognize_tones", *(f"--{name}={value}" for name, value in TINY.items()), *arguments)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones") / "run"
    done = run_program("--output_dir", folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def samples():
    return make_splits(1, 60)


def test_a_run_leaves_results_a_picture_and_a_log(finished):
    folder, results = finished
    assert results["plan"]["contexts"] == ["cpu(0)", "cpu(1)"] and sum(results["plan"]["layers"]) == 5
    assert results["steps"] == 2 * 4 and results["test"]["sounds"] == 6
    assert set(results["test"]["token_error_rate"]) == {"best_path", "prefix_beam", "templates"}
    assert (folder / "recognized.png").read_bytes().startswith(b"\x89PNG")
    log = (folder / "train.log").read_text()
    assert re.search(r"step 8/8 loss \d+\.\d+ \d+ frames/s norm", log) and "epoch 2 valid: token error rate" in log
    assert re.search(r"test: templates +token error rate \d\.\d+", log)


def test_the_same_seed_gives_the_same_error_rates(finished, tmp_path):
    assert run(TonesOptions(**TINY, output_dir=str(tmp_path / "again")))["test"] == finished[1]["test"]


def test_the_parameters_of_the_best_epoch_are_kept_and_give_the_networks_error_rate(finished, samples):
    folder, results = finished
    with build(TonesOptions(**TINY), samples["train"], [mx.cpu(0)]) as pipe:
        pipe.load_parameters(str(folder / "best.params"))
        paths = [best_path(row) for row in log_probs(pipe, samples["test"])]
    expected = token_error_rate(paths, [sample.symbols for sample in samples["test"]])
    assert results["test"]["token_error_rate"]["best_path"] == expected


def test_of_epochs_with_the_same_error_rate_the_last_is_kept(samples, tmp_path, monkeypatch):
    monkeypatch.setattr("recognize_tones.train.token_error_rate", lambda paths, symbols: 1.0)
    with build(TonesOptions(**TINY), samples["train"], [mx.cpu(0)]) as pipe:
        train(TonesOptions(**TINY), pipe, samples, tmp_path)
        pipe.save_parameters(str(tmp_path / "last.params"))
    best, last = (mx.nd.load(str(tmp_path / f"{name}.params")) for name in ("best", "last"))
    assert all((best[name].asnumpy() == last[name].asnumpy()).all() for name in last)


def test_the_probabilities_of_a_sound_do_not_depend_on_its_batch(samples):
    with build(TonesOptions(**TINY), samples["train"], [mx.cpu(0)]) as pipe:
        for together, sample in zip(log_probs(pipe, samples["valid"]), samples["valid"]):
            assert together.shape == (len(sample.frames), 13)
            np.testing.assert_allclose(np.exp(together).sum(axis=1), 1, rtol=1e-5)
            np.testing.assert_allclose(together, log_probs(pipe, [sample])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong, message", [
    (["--num_sounds", "9"], "--num_sounds must be at least 10, got 9"),
    (["--learning_rate", "0"], "--learning_rate must be positive, got 0.0"),
    (["--contexts", "gpu(0-"], "cannot read 'gpu(0-'"),
    (["--plan", "9,9"], "places 18 layers, but the chain has 5")])
def test_a_mistake_gets_one_line(tmp_path, wrong, message):
    done = run_program("--output_dir", tmp_path / "run", *wrong)
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
