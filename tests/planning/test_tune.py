from itertools import combinations

import mxnet as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.planning import LayerCost, Link, Plan, simulate, tune
from mxmp.schedule import SCHEDULES

CONTEXTS = [mx.cpu(0), mx.cpu(1), mx.cpu(2)]


def costs_of(seconds, kept=0, fixed=0.0):
    """Costs for a batch of 1: time and activations shrink with the pieces, a fixed part of the time does not."""
    def costs(num_microbatches, num_chunks):
        pieces = num_microbatches * num_chunks
        return [LayerCost(f"layer {i}", 0, {f"p{i}": 1}, (), 8, kept // pieces, forward=fixed + s / pieces,
                          backward=fixed + 2 * s / pieces) for i, s in enumerate(seconds)]
    return costs


def test_the_fastest_comes_first_and_all_that_was_tried_follows():
    found = tune(costs_of([1.0] * 6), CONTEXTS, (1, 2, 8), (1, 4))
    assert [choice.seconds for choice in found] == sorted(choice.seconds for choice in found)
    assert {(c.schedule, c.num_microbatches, c.num_chunks) for c in found} == {
        (name, m, c) for name in SCHEDULES for m in (1, 2, 8) for c in (1, 4) if name != "wavefront" or c > 1}
    assert (found[0].num_microbatches, found[0].num_chunks, found[0].plan.counts) == (8, 4, (2, 2, 2))


def test_what_cutting_costs_is_weighed_against_the_bubble():
    assert tune(costs_of([1.0] * 6, fixed=0.001), CONTEXTS, (1, 4, 64))[0].num_microbatches == 64
    assert tune(costs_of([1.0] * 6, fixed=0.02), CONTEXTS, (1, 4, 64))[0].num_microbatches == 4
    assert tune(costs_of([1.0] * 6, fixed=2.0), CONTEXTS, (1, 4, 64))[0].num_microbatches == 1


def test_a_slow_link_makes_larger_pieces():
    assert tune(costs_of([1.0] * 6), CONTEXTS, (1, 4, 64), transfer=Link(0.2))[0].num_microbatches == 4


def test_memory_decides_for_1f1b():
    found = tune(costs_of([1.0] * 3, kept=1000), CONTEXTS, (8,), memory_limit=500)
    assert {choice.schedule for choice in found} == {"1f1b"}
    assert all(max(choice.simulation.peak_bytes) <= 500 for choice in found)


@settings(deadline=None)
@given(seconds=st.lists(st.integers(1, 9), min_size=3, max_size=8), schedule=st.sampled_from(sorted(SCHEDULES)),
       pieces=st.integers(1, 5))
def test_no_layer_that_moves_to_a_neighbour_makes_it_faster(seconds, schedule, pieces):
    costs = costs_of(seconds)
    best = tune(costs, CONTEXTS, (pieces,), (1,), (schedule,))[0]
    for i, step in [(0, 1), (0, -1), (1, 1), (1, -1)]:
        counts = list(best.plan.counts)
        counts[i], counts[i + 1] = counts[i] + step, counts[i + 1] - step
        if min(counts) > 0:
            other = simulate(SCHEDULES[schedule](3, pieces, 1), costs(pieces, 1), Plan(counts, CONTEXTS))
            assert other.seconds >= best.seconds


@settings(deadline=None)
@given(seconds=st.lists(st.integers(1, 9), min_size=2, max_size=8), pieces=st.integers(1, 5))
def test_on_two_contexts_it_is_rarely_far_from_the_best_plan(seconds, pieces):
    costs, schedule = costs_of(seconds), SCHEDULES["1f1b"](2, pieces, 1)
    best = tune(costs, CONTEXTS[:2], (pieces,), (1,), ("1f1b",))[0]
    times = [simulate(schedule, costs(pieces, 1), Plan((cut[0], len(seconds) - cut[0]), CONTEXTS[:2])).seconds
             for cut in combinations(range(1, len(seconds)), 1)]
    assert best.seconds <= min(times) * (1 + 1e-9)


def test_says_what_would_fit():
    with pytest.raises(ValueError) as error:
        tune(costs_of([1.0] * 6, kept=1000), CONTEXTS[:2], (2,), (1,), ("fill_drain",), memory_limit=2500)
    assert str(error.value) == (
        "nothing fits: of all plans 3,3 is the tightest, and its stage 1 needs 3,064 where 2,500 is the limit (bytes); "
        "it would fit with 1f1b and 2 micro-batches on 2 contexts, or 4 micro-batches on 2 contexts, or 8 "
        "micro-batches on 2 contexts, or 2 micro-batches on 3 contexts")
