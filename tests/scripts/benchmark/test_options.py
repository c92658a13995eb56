"""Flags and the choice of variants."""
import pytest
from benchmark.options import PipelineOptions
from benchmark.variants import VARIANTS


def test_all_variants_are_measured_by_default_and_memory_is_not():
    assert PipelineOptions().selected == list(VARIANTS)


def test_variants_keep_the_tables_order():
    assert PipelineOptions(variants=("memory", "1f1b", "plain")).selected == ["plain", "1f1b", "memory"]


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
