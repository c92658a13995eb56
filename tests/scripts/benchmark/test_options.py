"""Flags, workloads and the choice of variants."""
import pytest
from benchmark.options import PipelineOptions
from benchmark.variants import VARIANTS
from benchmark.workload import Workload


def test_a_layers_flops_count_both_matrices_and_the_backward_pass_twice():
    workload = Workload(5, seq_len=3, num_layers=2, hidden_size=7, num_microbatches=1, num_chunks=1)
    forward = 2 * 3 * 5 * (4 * 7) * (7 + 7)  # 3 steps of 5 rows, 4 gates of 7, from 7 inputs and 7 states
    assert workload.flops == 3 * 2 * forward
    assert workload.batch_bytes == 4 * 5 * 3 * 7


def test_all_variants_are_measured_by_default_and_memory_is_not():
    assert PipelineOptions().selected == list(VARIANTS)


def test_variants_keep_the_tables_order():
    assert PipelineOptions(variants=("memory", "1f1b", "plain")).selected == ["plain", "1f1b", "memory"]


def test_every_reference_is_a_variant():
    references = {variant.reference for variant in VARIANTS.values()} - {None}
    assert references and references <= set(VARIANTS)


@pytest.mark.parametrize("flags, message", [
    ({"repeats": 0}, "--repeats must be at least 1, got 0"),
    ({"batch_sizes": (64, 0)}, r"--batch_sizes must be at least 1, got \(64, 0\)"),
    ({"batch_sizes": (64, 12)}, "a batch of 12 rows cannot be cut into 8 equal micro-batches"),
    ({"seq_len": 7}, "--seq_len 7 cannot be cut into 8 time chunks"),
    ({"variants": ("plain", "fast")}, "--variants names 'fast'; choose from plain, plain_microbatches, "),
])
def test_what_cannot_be_measured_is_said(flags, message):
    with pytest.raises(ValueError, match=message):
        PipelineOptions(**flags)
