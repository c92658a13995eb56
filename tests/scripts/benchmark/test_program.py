"""What ``scripts/benchmark`` says to mistakes."""
import pytest
from helpers.programs import run


@pytest.mark.parametrize("args, line", [
    (["pipeline", "--repeats", "0"], "--repeats must be at least 1, got 0"),
    (["pipeline", "--variants", "fast"], "--variants names 'fast'; choose from plain,"),
    (["pipeline", "--contexts", "tpu(0)"], "contexts 'tpu(0)': cannot read 'tpu(0)'; write, for example,"),
    (["pipeline", "--torch_python", "/no-such-python"], "no PyTorch under /no-such-python"),
    (["pipeline", "--json", "no-such-folder/all.json"], "no-such-folder/all.json"),
    (["simulator", "--contexts", "cpu(0)"], "the simulator's configurations are for 4 layers and 2 contexts"),
    (["plans", "--batch_size", "0"], "--batch_size must be at least 1, got 0"),
    (["published", "--num_microbatches", "8,0"], "--num_microbatches must be at least 1, got (8, 0)"),
    (["published", "--contexts", "18"], "17 layers cannot fill 18 stages; use at most 17 contexts"),
    (["plans", "--json", "no-such-folder/all.json"], "no-such-folder/all.json"),
])
def test_a_mistake_is_one_line(tmp_path, args, line):
    done = run("benchmark", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("benchmark: error: ") and done.stderr.count("\n") == 1
    assert line in done.stderr


def test_a_command_is_needed(tmp_path):
    done = run("benchmark", cwd=tmp_path)
    assert done.returncode == 1 and "COMMAND" in done.stderr
