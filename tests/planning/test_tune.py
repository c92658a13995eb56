from functools import partial
from itertools import combinations, product

import mxnet as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.planning import LayerCost, Link, Plan, simulate, tune
from mxmp.schedule import SCHEDULES, stream

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
        (name, m, c) for name in SCHEDULES for m in (1, 2, 8) for c in (1, 4)
        if name != "continuous" and (name != "wavefront" or c > 1)}
    assert (found[0].num_microbatches, found[0].num_chunks, found[0].plan.counts) == (8, 4, (1,) * 6)  # interleaved


def test_a_stream_is_tuned_where_it_is_asked_for():
    found = tune(costs_of([1.0] * 6, kept=96), CONTEXTS, (2, 4), schedules=("continuous", "1f1b"))
    assert (found[0].schedule, found[0].seconds) == ("continuous", pytest.approx(18 / len(CONTEXTS)))
    once, twice = (next(c.simulation.peak_bytes for c in found if (c.schedule, c.num_microbatches) == (name, 4))
                   for name in ("1f1b", "continuous"))
    layers = found[0].plan.counts
    assert [two - one for one, two in zip(once, twice)] == [2 * 4 * count for count in layers]  # values, gradients


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
@given(seconds=st.lists(st.integers(1, 9), min_size=6, max_size=8), schedule=st.sampled_from(sorted(SCHEDULES)),
       pieces=st.integers(1, 5))
def test_no_layer_that_moves_to_a_neighbour_makes_it_faster(seconds, schedule, pieces):
    costs = costs_of(seconds)
    best = tune(costs, CONTEXTS, (pieces,), (1,), (schedule,))[0]
    for i, step in product(range(len(best.plan.counts) - 1), (1, -1)):
        counts = list(best.plan.counts)
        counts[i], counts[i + 1] = counts[i] + step, counts[i + 1] - step
        if min(counts) > 0:
            continuous = schedule == "continuous"
            units = (partial(stream, steps=4) if continuous else SCHEDULES[schedule])(best.plan.contexts, pieces)
            other = simulate(units, costs(pieces, 1), Plan(counts, best.plan.contexts), stream=pieces * continuous)
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


def test_interleaved_stages_are_weighed():
    found = tune(costs_of([1.0] * 8), CONTEXTS[:2], (4,))
    best = found[0]
    assert (best.schedule, best.plan) == ("interleaved", Plan((2, 2, 2, 2), CONTEXTS[:2] * 2))
    by_hand = 8 * 3 / 2 * (4 * 2 + 1) / (4 * 2)  # half of all work, and the bubble
    assert best.seconds == pytest.approx(by_hand)
    assert [len(choice.plan.counts) for choice in found] == [4, 2, 2]


def test_all_numbers_of_stages_per_context_are_tried():
    found = tune(costs_of([1.0] * 8), CONTEXTS[:2], (1, 4), stages_per_context=(2, 3, 5))
    assert sorted((c.num_microbatches, len(c.plan.counts)) for c in found if c.schedule == "interleaved") == [
        (1, 4), (1, 6), (4, 4), (4, 6)]
    assert len(found) == 4 + 2 * 2


def test_a_slow_link_speaks_against_interleaved_stages():
    assert tune(costs_of([1.0] * 8), CONTEXTS[:2], (4,), transfer=Link(1.0))[0].schedule != "interleaved"


def test_interleaved_stages_are_left_out_where_they_had_no_layers():
    assert "interleaved" not in {choice.schedule for choice in tune(costs_of([1.0] * 5), CONTEXTS, (4,))}
    with pytest.raises(ValueError, match="5 layers cannot fill 6 stages; use at most 2 contexts of 2 stages each"):
        tune(costs_of([1.0] * 5), CONTEXTS, (4,), schedules=("interleaved",))


@settings(deadline=None, max_examples=30)
@given(seconds=st.lists(st.integers(1, 9), min_size=4, max_size=8), pieces=st.integers(1, 6))
def test_interleaved_plans_fit_where_even_ones_do(seconds, pieces):
    costs, places = costs_of(seconds, kept=1000), CONTEXTS[:2] * 2
    even = Plan([len(seconds) * (i + 1) // 4 - len(seconds) * i // 4 for i in range(4)], places)
    limit = max(simulate(SCHEDULES["interleaved"](places, pieces, 1), costs(pieces, 1), even).peak_bytes)
    best = tune(costs, CONTEXTS[:2], (pieces,), (1,), ("interleaved",), memory_limit=limit)[0]
    assert max(best.simulation.peak_bytes) <= limit
