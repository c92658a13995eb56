"""Whole training runs of the script on a tiny corpus: results, resuming after SIGKILL, errors in one line."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from mxmp.data import load_numbers

ROOT = Path(__file__).parents[3]
TINY = ["--dataset", "files", "--vocab_size", "120", "--embed_size", "16", "--hidden_size", "16", "--batch_size", "16",
        "--epochs", "2", "--log_interval", "1", "--save_interval", "3", "--warmup_steps", "4", "--num_microbatches",
        "2", "--beam_size", "2", "--dropout", "0.2"]


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """The flags of a run on 160 number phrases: 10 steps an epoch."""
    folder = tmp_path_factory.mktemp("corpus")
    corpus = load_numbers(num_train=160, num_valid=6, num_test=5)
    arguments = list(TINY)
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            path = folder / f"{split}.{side}"
            path.write_text("\n".join(getattr(getattr(corpus, split), side)) + "\n", encoding="utf-8")
            arguments += [f"--{split}_{side}", str(path)]
    return [*arguments, "--cache_dir", str(folder / "cache")]


def command(*arguments):
    return [sys.executable, str(ROOT / "scripts" / "train_translation.py"), *map(str, arguments)]


def run(*arguments):
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=300)


def parameters(folder):
    (path,) = folder.glob("latest-*/model.params")
    return {name: array.asnumpy() for name, array in mx.nd.load(str(path)).items()}


@pytest.fixture(scope="module")
def finished(flags, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    done = run(*flags, "--output_dir", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_leaves_results_a_curve_a_log_and_checkpoints(finished):
    results = json.loads((finished / "results.json").read_text())
    assert results["steps"] == 20 and results["plan"]["contexts"] == ["cpu(0)", "cpu(1)"]
    assert 0 <= results["test"]["bleu"] <= 100 and results["test"]["signature"].startswith("nrefs:1|case:mixed")
    assert results["tokens_per_second"] > 0 and results["versions"]["mxnet"] == mx.__version__
    assert (finished / "loss.png").read_bytes().startswith(b"\x89PNG")
    log = (finished / "train.log").read_text()
    assert "cpu(1)" in log and "of the work" in log and "are padding" in log
    assert re.search(r"step 20/20 loss \d+\.\d+ ppl \d+\.\d+ \d+ tokens/s norm \d+\.\d+ lr", log)
    assert {p.name.split("-")[0] for p in finished.iterdir() if p.is_dir()} == {"best", "latest"}


def test_a_run_killed_at_a_random_step_resumes_and_ends_like_one_that_was_not(flags, finished, tmp_path):
    step = random.SystemRandom().randint(1, 19)
    folder = tmp_path / "killed"
    with subprocess.Popen(command(*flags, "--output_dir", folder), cwd=ROOT, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 240
        while not ((folder / "train.log").is_file() and f"step {step}/20" in (folder / "train.log").read_text()):
            assert process.poll() is None and time.monotonic() < deadline, f"never reached step {step}"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (folder / "results.json").exists(), f"finished before it was killed at step {step}"
    done = run("--output_dir", folder, "--resume")  # the run knows its other options
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "results.json").read_text())["steps"] == 20
    ours, theirs = parameters(folder), parameters(finished)
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=f"{name}, killed at step {step}")


def test_a_model_trained_on_two_contexts_translates_on_one_two_and_three(finished):
    program = [sys.executable, str(ROOT / "scripts" / "translate.py"), "--model", str(finished), "--max_length", "20"]
    text = "twenty-one\n\nthe third\n"
    outputs = []
    for contexts in ("cpu(0)", "cpu(0-1)", "cpu(0-2)"):
        done = subprocess.run([*program, "--contexts", contexts], input=text, cwd=ROOT, capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert len(set(outputs)) == 1 and len(outputs[0].split("\n")) == 4 and outputs[0].split("\n")[1] == ""


def test_nbest_gives_scored_lines_best_first(finished, tmp_path):
    (tmp_path / "in").write_text("twenty-one\nthe third\n")
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "translate.py"), "--model", str(finished), "--nbest",
                           "3", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")],
                          cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in (tmp_path / "out").read_text(encoding="utf-8").splitlines()]
    assert [row[0] for row in rows] == ["0"] * 3 + ["1"] * 3
    scores = [float(row[1]) for row in rows]
    assert scores[:3] == sorted(scores[:3], reverse=True) and scores[3:] == sorted(scores[3:], reverse=True)


@pytest.mark.parametrize("wrong, message", [
    (["--contexts", "gpu(0-"], "cannot read 'gpu(0-'"),
    (["--plan", "3,5"], "places 8 layers, but the chain has 9"),
    (["--train_src", "nowhere.txt"], "nowhere.txt: cannot be read"),
    (["--batch_size", "0"], "--batch_size must be at least 1, got 0"),
    (["--dataset", "multi30k", "--data_dir", "nowhere"], "nowhere"),
    (["--dataset", "numbers", "--tgt_lang", "xx"], "xx")])
def test_a_mistake_gets_one_line(flags, tmp_path, wrong, message):
    done = run(*flags, "--output_dir", tmp_path / "run", *wrong)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr, done.stderr


def test_a_folder_in_use_and_a_changed_size_are_refused_and_nothing_is_lost(flags, finished):
    before = sorted(p.name for p in finished.iterdir())
    done = run(*flags, "--output_dir", finished)
    assert "holds a training run" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    done = run(*flags, "--output_dir", finished, "--resume", "--hidden_size", "24")
    assert "--hidden_size was 16" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    other = flags[:flags.index("--train_src") + 1] + [flags[flags.index("--valid_src") + 1], "--train_tgt",
                                                      flags[flags.index("--valid_tgt") + 1]]
    done = run(*flags, *other, "--output_dir", finished, "--resume")
    assert "not the one that" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert sorted(p.name for p in finished.iterdir()) == before


def test_an_automatic_plan_is_measured_chosen_and_remembered(flags, tmp_path):
    done = run(*flags, "--output_dir", tmp_path / "run", "--epochs", "1", "--plan", "auto")
    assert done.returncode == 0, done.stderr
    chosen = json.loads((tmp_path / "run" / "options.json").read_text())
    assert re.fullmatch(r"\d+,\d+", chosen["plan"]) and sum(map(int, chosen["plan"].split(","))) == 9
    assert chosen["num_microbatches"] in (1, 2, 4, 8) and chosen["schedule"] in ("1f1b", "fill_drain")
    layers = json.loads((tmp_path / "run" / "profile.json").read_text())["layers"]["cpu"]
    assert [piece["num_microbatches"] for piece in layers] == [1, 2, 4, 8]
