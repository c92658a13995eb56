"""scripts/benchmark as a user runs it."""
import json

import pytest
from helpers.programs import run

TINY = ["--num_layers", "2", "--hidden_size", "8", "--seq_len", "4", "--batch_sizes", "8,16", "--num_microbatches",
        "4", "--num_chunks", "2", "--repeats", "1", "--warmup_steps", "1", "--matmul_size", "16"]


def test_a_table_for_each_batch_size_and_all_of_it_as_json(tmp_path):
    done = run("benchmark", "pipeline", *TINY, "--variants", "plain,1f1b", "--json", "all.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| `")] == [
        "`plain`", "`1f1b`"] * 2
    found = json.loads((tmp_path / "all.json").read_text())
    assert [step["batch_size"] for step in found["steps"]] == [8, 16]
    assert [len(row["seconds"]) for step in found["steps"] for row in step["rows"]] == [1] * 4
    assert {"cpu", "cores", "date"} <= set(found["machine"]) and {"mxnet", "numpy"} <= set(found["versions"])
    assert found["flags"]["hidden_size"] == 8 and found["memory"] == []


@pytest.mark.parametrize("args, line", [
    (["--repeats", "0"], "--repeats must be at least 1, got 0"),
    (["--variants", "fast"], "--variants names 'fast'; choose from plain,"),
    (["--contexts", "tpu(0)"], "contexts 'tpu(0)': cannot read 'tpu(0)'; write, for example,"),
    (["--torch_python", "/no-such-python"], "no PyTorch under /no-such-python"),
    (["--json", "no-such-folder/all.json"], "no-such-folder/all.json"),
])
def test_a_mistake_is_one_line(tmp_path, args, line):
    done = run("benchmark", "pipeline", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("benchmark: error: ") and done.stderr.count("\n") == 1
    assert line in done.stderr


def test_a_command_is_needed(tmp_path):
    done = run("benchmark", cwd=tmp_path)
    assert done.returncode == 2 and "COMMAND" in done.stderr
