from math import fsum, inf, nan

import pytest
from helpers.partitions import SMALL, all_partitions, ranges, total_sent
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.planning import balance

COST = st.one_of(st.just(0.0), st.integers(0, 3).map(float), st.floats(0, 1e3), st.floats(0, 1e30),
                 st.sampled_from([1e-300, 1e-9, 1e9, 1e300]))
COSTS = st.lists(COST, min_size=1, max_size=10)


def slowest(costs, counts, transfer=None, speeds=None):
    """Time of the slowest stage."""
    sent = [0, *(transfer or [0] * (len(costs) - 1)), 0]
    return max(fsum(costs[start:stop]) / speed + sent[start] + sent[stop]
               for (start, stop), speed in zip(ranges(counts), speeds or [1] * len(counts)))


@st.composite
def problems(draw, costs=SMALL, max_layers=12):
    """Whole numbers with many ties: costs, stages, transfer times, speeds, memory and limits."""
    costs = draw(st.lists(costs, min_size=1, max_size=max_layers))
    num_stages = draw(st.integers(1, min(5, len(costs))))
    return {"costs": costs, "num_stages": num_stages,
            "transfer": draw(st.lists(SMALL, min_size=len(costs) - 1, max_size=len(costs) - 1)),
            "speeds": draw(st.lists(st.sampled_from([1, 2, 4]), min_size=num_stages, max_size=num_stages)),
            "memory": draw(st.lists(SMALL, min_size=len(costs), max_size=len(costs))),
            "memory_limit": draw(st.lists(st.integers(1, 15), min_size=num_stages, max_size=num_stages))}


@settings(deadline=None, max_examples=300)
@given(costs=COSTS, data=st.data())
def test_no_contiguous_partition_is_better(costs, data):
    num_stages = data.draw(st.integers(1, min(4, len(costs))))
    counts = balance(costs, num_stages)
    assert len(counts) == num_stages and min(counts) >= 1 and sum(counts) == len(costs)
    least = min(slowest(costs, other) for other in all_partitions(len(costs), num_stages))
    assert slowest(costs, counts) <= least * (1 + 1e-12)  # rounding of the sums


@settings(deadline=None, max_examples=2000)
@given(problem=problems())
def test_with_transfer_speeds_and_memory_no_partition_is_better_either(problem):
    costs, num_stages, transfer = problem["costs"], problem["num_stages"], problem["transfer"]
    speeds, memory, limits = problem["speeds"], problem["memory"], problem["memory_limit"]
    fitting = [counts for counts in all_partitions(len(costs), num_stages)
               if all(sum(memory[a:b]) <= limit for (a, b), limit in zip(ranges(counts), limits))]
    if not fitting:
        with pytest.raises(ValueError, match="nothing fits"):
            balance(**problem)
        return
    counts = balance(**problem)
    assert counts in fitting
    least = min(slowest(costs, other, transfer, speeds) for other in fitting)
    assert slowest(costs, counts, transfer, speeds) == least  # exact: speeds are powers of two
    ties = [other for other in fitting if slowest(costs, other, transfer, speeds) == least]
    assert total_sent(counts, transfer) == min(total_sent(other, transfer) for other in ties)


@settings(deadline=None, max_examples=500)
@given(problem=problems(costs=st.integers(0, 10 ** 12)))
def test_is_exact_for_whole_numbers_such_as_flops(problem):
    costs, num_stages = problem["costs"], problem["num_stages"]
    assert slowest(costs, balance(costs, num_stages)) == min(
        slowest(costs, other) for other in all_partitions(len(costs), num_stages))


@settings(deadline=None, max_examples=300)
@given(problem=problems(max_layers=8))
def test_memory_may_depend_on_the_stage(problem):
    costs, num_stages, memory = problem["costs"], problem["num_stages"], problem["memory"]

    def held(stage, layers):
        return (num_stages - stage) * sum(memory[i] for i in layers)

    fitting = [counts for counts in all_partitions(len(costs), num_stages)
               if all(held(stage, range(*part)) <= 12 for stage, part in enumerate(ranges(counts)))]
    try:
        counts = balance(costs, num_stages, memory=held, memory_limit=12)
    except ValueError as error:
        assert "nothing fits" in str(error) and not fitting
    else:
        assert slowest(costs, counts) == min(slowest(costs, other) for other in fitting)


@pytest.mark.parametrize("costs, counts", [
    ([1, 1, 1, 3], [3, 1]), ([3, 1, 1, 1], [1, 3]), ([1, 2, 3, 4, 5, 6, 7, 8, 9], [5, 2, 2]),
    ([9, 0, 1e9, 2], [1] * 4)])
def test_known_partitions(costs, counts):
    assert balance(costs, len(counts)) == counts


def test_cuts_where_little_is_sent():
    assert balance([2, 1, 1, 1, 2], 3, transfer=[0, 0.5, 0.25, 0]) == [1, 3, 1]
    assert balance([4, 0, 0, 4, 9], 3, transfer=[3, 1, 2, 0]) == [2, 2, 1]  # all three cuts are fast enough


def test_a_faster_context_gets_more():
    assert balance([1] * 6, 2, speeds=[2, 1]) == [4, 2]


def test_leaves_what_it_is_given_alone():
    costs, transfer = [1.0, 2.0, 3.0], [1.0, 1.0]
    balance(costs, 2, transfer=transfer, memory=costs, memory_limit=9)
    assert (costs, transfer) == ([1.0, 2.0, 3.0], [1.0, 1.0])


def test_says_what_the_tightest_plan_needs_and_how_many_contexts_would_do():
    with pytest.raises(ValueError) as error:
        balance([1] * 4, 2, memory=[5, 5, 5, 5], memory_limit=7)
    assert str(error.value) == ("nothing fits: of all plans 2,2 is the tightest, and its stage 0 needs 10 where 7 is "
                                "the limit; 4 contexts would hold it")


def test_says_that_a_layer_is_too_large():
    with pytest.raises(ValueError, match="its stage 1 needs 9 where 7 is the limit; a single layer needs more"):
        balance([1] * 3, 2, memory=[1, 1, 9], memory_limit=7)


@pytest.mark.parametrize("given, message", [
    ({"num_stages": 0}, "num_stages must be at least 1, got 0"),
    ({"num_stages": 3}, "2 layers cannot fill 3 stages; use at most 2 contexts"),
    ({"costs": [], "num_stages": 1}, "0 layers cannot fill 1 stages"),
    ({"costs": [1, -2]}, "costs must be at least 0.*; layer 1 has -2"),
    ({"costs": [1, nan]}, "costs must be at least 0.*; layer 1 has nan"),
    ({"costs": [inf, 1]}, "layer 0 has inf"),
    ({"costs": [1e308] * 4}, "add up to infinity"),
    ({"transfer": [1, 2]}, "transfer needs 1 numbers, one for each layer but the last; got 2"),
    ({"transfer": [-1]}, "transfer must be at least 0 and finite; the cut after layer 0 has -1"),
    ({"speeds": [1]}, "speeds needs 2 numbers, one for each stage; got 1"),
    ({"speeds": [1, 0]}, "speeds must be above 0 and finite; stage 1 has 0"),
    ({"memory": [1, 1]}, "memory and memory_limit belong together"),
    ({"memory_limit": 3}, "memory and memory_limit belong together"),
    ({"memory": [1], "memory_limit": 3}, "memory needs 2 numbers"),
    ({"memory": [1, 1], "memory_limit": 0}, "memory_limit must be above 0 and finite, got 0"),
    ({"memory": [1, 1], "memory_limit": [3]}, "memory_limit needs 2 numbers"),
])
def test_says_what_cannot_be_planned(given, message):
    with pytest.raises(ValueError, match=message):
        balance(**{"costs": [1, 2], "num_stages": 2, **given})
