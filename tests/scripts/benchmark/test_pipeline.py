"""``scripts/benchmark pipeline``, and its variants in their real processes, tiny: all of them do the same step."""
import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import benchmark
import pytest
from benchmark.launcher import Launcher
from benchmark.options import PipelineOptions
from benchmark.pipeline import measure_memory
from benchmark.rounds import measure_variants
from benchmark.variants import VARIANTS
from helpers.programs import run

FOLDER = Path(benchmark.__file__).parent
TINY = {"batch_sizes": (8,), "num_layers": 4, "hidden_size": 8, "seq_len": 4, "num_microbatches": 4, "num_chunks": 2,
        "warmup_steps": 1, "matmul_size": 16}
MXNET = tuple(name for name, variant in VARIANTS.items() if not variant.is_torch)
TORCH = tuple(name for name, variant in VARIANTS.items() if variant.is_torch)
TORCH_PYTHON = os.environ.get("MXMP_TORCH_PYTHON", sys.executable)


def measure(**flags):
    options = PipelineOptions(**TINY, repeats=2, **flags)
    launcher = Launcher(options)
    samples = measure_variants(launcher, options.workload(8, options.num_microbatches), options.repeats)
    return launcher, samples


def check_agreement(samples, names):
    """Losses and gradients of all the variants, in both rounds."""
    for key in ("loss", "grad_squares"):
        values = [sample[key] for name in names for sample in samples[name]]
        assert values[0] > 0 and values == pytest.approx([values[0]] * len(values), rel=1e-5), key


def test_mxnets_variants_do_the_same_step():
    launcher, samples = measure(variants=MXNET)
    assert (launcher.num_contexts, launcher.versions["contexts"]) == (2, ["cpu(0)", "cpu(1)"])
    assert list(samples) == ["matmul", "matmul_all", *MXNET]
    assert all(len(rounds) == 2 and min(s["seconds"] for s in rounds) > 0 for rounds in samples.values())
    check_agreement(samples, [name for name in MXNET if name != "gluon_lstm"])  # which draws other parameters


def test_pytorchs_variants_do_the_same_step():
    try:
        launcher, samples = measure(variants=TORCH, torch_python=TORCH_PYTHON)
    except ValueError as error:
        pytest.skip(f"{error}; or set MXMP_TORCH_PYTHON to a Python that has it")
    assert launcher.versions["torch"]
    check_agreement(samples, TORCH)


def test_contexts_may_have_unequal_numbers_of_layers():
    flags = {**TINY, "num_layers": 3}
    launcher = Launcher(PipelineOptions(**flags, contexts="cpu(0-1)", variants=("1f1b",)))
    with launcher.start(VARIANTS["1f1b"], PipelineOptions(**flags).workload(8, 4)) as worker:
        assert worker.ask("measure")[0]["loss"] > 0


def test_more_contexts_than_layers_are_refused():
    with pytest.raises(ValueError, match=r"--num_layers 4 is too few for the 5 contexts of --contexts cpu\(0-4\)"):
        Launcher(PipelineOptions(**TINY, contexts="cpu(0-4)"))


def test_interleaved_stages_are_left_out_where_layers_are_too_few_unless_they_were_asked_for():
    why = "--num_layers 4 is too few for --stages_per_context 3 on cpu(0-1)"
    launcher = Launcher(PipelineOptions(**TINY, stages_per_context=3))
    assert f"leaving interleaved out: {why}" in launcher.left_out
    assert "interleaved" not in {variant.name for variant in launcher.variants}
    with pytest.raises(ValueError, match=re.escape(why)):
        Launcher(PipelineOptions(**TINY, stages_per_context=3, variants=("interleaved",)))


def test_activation_memory_is_measured_with_and_without_recomputation():
    options = PipelineOptions(**TINY, variants=("memory",))
    rows = measure_memory(Launcher(options), options)
    assert [row["schedule"] for row in rows] == [
        "1f1b", "fill_drain", "1f1b_recompute", "fill_drain_recompute"]
    for row in rows:
        assert list(row["activation_bytes"]) == ["4", "16"]
        assert row["ratio"] == row["activation_bytes"]["16"] / row["activation_bytes"]["4"]


@pytest.mark.long
def test_recomputation_takes_the_memory_that_it_promises():
    """Fill-drain with it at most 1.6 times 1F1B without, and the wavefront at most half of its own."""
    options = PipelineOptions(num_layers=4, hidden_size=256, seq_len=32, num_microbatches=16, num_chunks=16,
                              batch_sizes=(256,))
    launcher, workload, peaks = Launcher(options), options.workload(256, 16), {}
    for name in ("1f1b", "fill_drain_recompute", "wavefront", "wavefront_recompute"):
        with launcher.start(VARIANTS[name], workload) as worker:
            answer = worker.ask("memory")[0]
        peaks[name] = answer["peak"] - answer["before"] - workload.batch_bytes
    assert peaks["fill_drain_recompute"] <= 1.6 * peaks["1f1b"], peaks
    assert peaks["wavefront_recompute"] <= peaks["wavefront"] / 2, peaks


def test_the_starting_program_does_not_load_mxnet():
    code = "import sys, benchmark.pipeline, benchmark.program; sys.exit('mxnet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, cwd=FOLDER.parent).returncode == 0


@pytest.mark.parametrize("name", ["serving.py", "torch_worker.py"])
def test_what_runs_under_pytorchs_python_imports_nothing_of_mxmp(name):
    tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules and not any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))
    assert {module.split(".")[0] for module in modules}.isdisjoint({"mxmp", "mxnet", "tqdm"})


def test_a_table_for_each_batch_size_and_all_of_it_as_json(tmp_path):
    flags = ["--num_layers", "2", "--hidden_size", "8", "--seq_len", "4", "--batch_sizes", "8,16", "--num_microbatches",
             "4", "--num_chunks", "2", "--repeats", "1", "--warmup_steps", "1", "--matmul_size", "16"]
    done = run("benchmark", "pipeline", *flags, "--variants", "plain,1f1b", "--json", "all.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| `")] == [
        "`plain`", "`1f1b`"] * 2
    results = json.loads((tmp_path / "all.json").read_text())
    assert [step["batch_size"] for step in results["steps"]] == [8, 16]
    assert [len(row["seconds"]) for step in results["steps"] for row in step["rows"]] == [1] * 4
    assert {"cpu", "cores", "date"} <= set(results["machine"]) and {"mxnet", "numpy"} <= set(results["versions"])
    assert results["flags"]["hidden_size"] == 8 and results["memory"] == []
