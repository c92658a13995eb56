"""What is timed, and the ways to do it."""
from benchmark.variants import VARIANTS, Workload


def test_a_layers_flops_count_both_matrices_and_the_backward_pass_twice():
    workload = Workload(5, seq_len=3, num_layers=2, hidden_size=7, num_microbatches=1, num_chunks=1)
    forward = 2 * 3 * 5 * (4 * 7) * (7 + 7)  # 3 steps of 5 rows, 4 gates of 7, from 7 inputs and 7 states
    assert workload.flops == 3 * 2 * forward
    assert workload.batch_bytes == 4 * 5 * 3 * 7


def test_every_reference_is_a_variant():
    references = {variant.reference for variant in VARIANTS.values()} - {None}
    assert references and references <= set(VARIANTS)
