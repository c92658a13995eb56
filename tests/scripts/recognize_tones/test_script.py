"""The whole script on a tiny set: results, reproducible by seed, splits that share no sound, errors in one line."""
import json
import re
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from recognize_tones.decoding import best_path
from recognize_tones.distance import token_error_rate
from recognize_tones.options import TonesOptions
from recognize_tones.recognizing import Recognizing, make_splits

ROOT = Path(__file__).parents[3]
TINY = {"num_sounds": 60, "hidden_size": 8, "epochs": 2, "batch_size": 16, "num_microbatches": 2, "num_layers": 1}


def run(*arguments):
    flags = [text for name, value in TINY.items() for text in ("--" + name, str(value))]
    return subprocess.run([sys.executable, "scripts/examples/recognize_tones", *flags, *map(str, arguments)], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones") / "run"
    done = run("--output_dir", folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "results.json").read_text())


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
    again = Recognizing(TonesOptions(**TINY), [mx.cpu(0), mx.cpu(1)], tmp_path)
    assert again.run()["test"] == finished[1]["test"]
    test = make_splits(1, {"test": 6})["test"]
    expected = token_error_rate([best_path(row) for row in again.log_probs(test)], [s.symbols for s in test])
    assert finished[1]["test"]["token_error_rate"]["best_path"] == expected
    again.pipe.close()


def test_the_probabilities_of_a_sound_do_not_depend_on_its_batch(tmp_path):
    recognizing = Recognizing(TonesOptions(**TINY), [mx.cpu(0)], tmp_path)
    samples = make_splits(1, {"valid": 5})["valid"]
    for together, sample in zip(recognizing.log_probs(samples), samples):
        assert together.shape == (len(sample.frames), 13)
        np.testing.assert_allclose(np.exp(together).sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(together, recognizing.log_probs([sample])[0], rtol=1e-4, atol=1e-5)
    recognizing.pipe.close()


def test_no_sound_is_in_two_splits():
    splits = make_splits(1, {"train": 50, "valid": 20, "test": 20})
    sounds = [sample.frames.tobytes() for samples in splits.values() for sample in samples]
    assert len(set(sounds)) == len(sounds) == 90


@pytest.mark.parametrize("wrong, message", [
    (["--num_sounds", "9"], "--num_sounds must be at least 10, got 9"),
    (["--learning_rate", "0"], "--learning_rate must be positive, got 0.0"),
    (["--contexts", "gpu(0-"], "cannot read 'gpu(0-'"),
    (["--plan", "9,9"], "places 18 layers, but the chain has 5")])
def test_a_mistake_gets_one_line(tmp_path, wrong, message):
    done = run("--output_dir", tmp_path / "run", *wrong)
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
