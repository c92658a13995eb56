"""The report's arithmetic, against values worked out by hand."""
from types import SimpleNamespace

import pytest
from benchmark.report import memory_table, step_table, summarize
from benchmark.variants import VARIANTS, Workload

WORKLOAD = Workload(batch_size=8, seq_len=8, num_layers=2, hidden_size=4, num_microbatches=4, num_chunks=8)


def samples(**seconds):
    return {name: [{"seconds": s, "peak_bytes": 3 << 20, "loss": 1.0, "grad_squares": 2.0} for s in times]
            for name, times in seconds.items()}


def report(*names, **seconds):
    launcher = SimpleNamespace(num_contexts=2, threads=lambda variant: 1, variants=[VARIANTS[n] for n in names])
    measured = samples(matmul=[0.5, 1.0, 1.0], matmul_all=[1.0, 1.0, 2.0], **seconds)
    return summarize(launcher, WORKLOAD, measured, matmul_size=100)


def test_ratios_are_medians_of_the_rounds_ratios():
    # every variant is twice as slow in the last two rounds; ratios of medians would give 3 / 4
    row = report("plain", "1f1b", plain=[1.0, 2.0, 2.0], **{"1f1b": [1.5, 1.5, 3.0]})["rows"][1]
    assert row["to_plain"] == 1.5  # of 1.5, 0.75, 1.5
    assert (row["median"], row["min"], row["max"]) == (1.5, 1.5, 3.0)


def test_speed_up_and_share_of_the_ideal():
    rows = report("plain", "one_stage", "1f1b", plain=[1.0] * 3, one_stage=[2.0, 2.0, 4.0],
                  **{"1f1b": [1.0, 2.0, 2.5]})["rows"]
    assert rows[0]["speedup"] is rows[0]["ideal"] is rows[0]["of_ideal"] is None
    assert rows[1]["speedup"] is None and rows[1]["ideal"] == 1  # plain_microbatches was not measured
    assert rows[2]["speedup"] == 1.6  # of 2, 1, 1.6
    assert rows[2]["ideal"] == 1.6 and rows[2]["of_ideal"] == 1
    assert rows[2]["contexts"] == 2


def test_a_wavefronts_pieces_are_its_chunks():
    row = report("wavefront", wavefront=[1.0] * 3)["rows"][0]
    assert row["ideal"] == pytest.approx(16 / 9) and row["to_plain"] is None


def test_share_of_the_peak_of_as_many_contexts():
    flops = 8 * 2 * 100 ** 3  # of one context's products
    found = report("plain", "two_threads", "1f1b", plain=[0.5] * 3, two_threads=[0.5] * 3, **{"1f1b": [0.25] * 3})
    assert found["peak_one"] == flops and found["peak_all"] == 2 * flops
    one, threads, both = [row["of_peak"] for row in found["rows"]]
    assert one == WORKLOAD.flops / 0.5 / flops  # rounds: of 2, 1 and 1 times this peak
    assert threads == WORKLOAD.flops / 0.5 / (2 * flops)
    assert both == WORKLOAD.flops / 0.25 / (2 * flops)


def test_the_table_is_markdown_with_a_line_per_variant():
    text = step_table(report("plain", "1f1b", plain=[0.5] * 3, **{"1f1b": [0.25] * 3}), num_contexts=2)
    above, _, header, rule, plain, pipelined = text.splitlines()
    assert above == ("Batch of 8: 0.0 GFLOP a step. Products of 100 x 100 matrices: 0.0 GFLOP/s on one context, "
                     "0.0 on 2 at once (2.00 times).")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, plain, pipelined)]
    assert cells[0][:6] == ["variant", "contexts x threads", "median s", "min", "max", "time / plain"]
    assert cells[1][:6] == ["`plain`", "1 x 1", "0.500", "0.500", "0.500", "1.000"]
    assert cells[2][2:10] == ["0.250", "0.250", "0.250", "0.500", "-", "-", "1.600", "-"]
    assert len({len(line) for line in (header, rule, plain, pipelined)}) == 1


def test_the_memory_table():
    text = memory_table([{"schedule": "1f1b", "activation_bytes": {"16": 6 << 20, "4": 3 << 20}, "ratio": 2.0}])
    assert text.splitlines()[0] == "| schedule | 4 micro-batches, MiB | 16 micro-batches, MiB | ratio |"
    assert text.splitlines()[2] == "| `1f1b`   |                  3.0 |                   6.0 |  2.00 |"


def test_interleaved_stages_have_an_ideal_of_their_own():
    row = report("interleaved", "one_stage", interleaved=[1.0] * 3, one_stage=[1.6] * 3)["rows"][0]
    assert row["ideal"] == pytest.approx(2 * 4 * 2 / (4 * 2 + 1)) and row["of_ideal"] == pytest.approx(0.9)
