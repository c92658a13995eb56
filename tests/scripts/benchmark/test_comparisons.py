"""``scripts/benchmark simulator``, ``plans``, ``softmax`` and ``training`` as a user runs them."""
import json

import pytest
from benchmark.variants import WAYS
from helpers.programs import run

from mxmp.schedule import SCHEDULES

TINY = ["--hidden_size", "8", "--seq_len", "8", "--batch_size", "8", "--repeats", "1", "--warmup_steps", "1"]


def test_every_configuration_is_predicted_and_measured(tmp_path):
    done = run("benchmark", "simulator", *TINY, "--json", "all.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "all.json").read_text())
    assert len(results["rows"]) >= 12
    assert {row["schedule"] for row in results["rows"]} == set(SCHEDULES)
    assert {len(row["counts"]) for row in results["rows"]} == {1, 2, 4}
    assert all(row["ratio"] == pytest.approx(row["predicted"] / row["measured"]) for row in results["rows"])
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 + len(results["rows"])  # the headings and the rule below them


def test_three_plans_are_measured_and_drawn(tmp_path):
    done = run("benchmark", "plans", *TINY, "--num_layers", "3", "--vocab_size", "30", "--json", "all.json",
               "--picture", "plan-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "all.json").read_text())["rows"]}
    assert list(rows) == ["separate", "even", "planned"]
    assert rows["separate"]["plan"] == "1,1,1,1,1" and rows["even"]["plan"] == "2,3" and rows["even"]["ratio"] == 1
    assert {path.name for path in tmp_path.glob("*.png")} == {f"plan-{name}.png" for name in rows}


def test_a_softmax_is_measured_whole_and_in_parts(tmp_path):
    done = run("benchmark", "softmax", *TINY, "--vocab_size", "300000", "--json", "all.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "all.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["undivided", "split over 1", "split over 2"]
    # logits and their gradients, and the parameters'; a part has half of them
    least = 2 * 4 * 300000 * (8 * 8 + 8)
    assert rows[0]["bytes"] > least and rows[1]["bytes"] > least and least / 2 < rows[2]["bytes"] < rows[1]["bytes"]
    assert done.stdout.count("| split over") == 2


def test_training_is_measured_in_every_way(tmp_path):
    done = run("benchmark", "training", "--dataset", "numbers", "--steps", "1", "--repeats", "1", "--warmup_steps", "1",
               "--batch_size", "8", "--num_microbatches", "2", "--json", "all.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "all.json").read_text())["rows"]}
    assert list(rows) == list(WAYS) and rows["1f1b"]["1f1b"] == 1
    for row in rows.values():
        assert row["plain"] == pytest.approx(row["tokens_per_second"] / rows["plain"]["tokens_per_second"])
