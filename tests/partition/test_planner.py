import itertools
from math import fsum, inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.partition import balance

COST = st.one_of(st.just(0.0), st.integers(0, 3).map(float), st.floats(0, 1e3), st.floats(0, 1e30),
                 st.sampled_from([1e-300, 1e-9, 1e9, 1e300]))
COSTS = st.lists(COST, min_size=1, max_size=10)


def slowest(costs, counts):
    """Cost of the most expensive stage."""
    bounds = [0, *itertools.accumulate(counts)]
    return max(fsum(costs[start:stop]) for start, stop in zip(bounds, bounds[1:]))


def least_possible(costs, num_stages):
    """The cheapest of all contiguous partitions, each tried."""
    return min(slowest(costs, [stop - start for start, stop in zip((0, *cuts), (*cuts, len(costs)))])
               for cuts in itertools.combinations(range(1, len(costs)), num_stages - 1))


@settings(deadline=None, max_examples=300)
@given(costs=COSTS, data=st.data())
def test_no_contiguous_partition_is_better(costs, data):
    num_stages = data.draw(st.integers(1, min(4, len(costs))))
    counts = balance(costs, num_stages)
    assert len(counts) == num_stages and min(counts) >= 1 and sum(counts) == len(costs)
    assert slowest(costs, counts) <= least_possible(costs, num_stages) * (1 + 1e-12)  # rounding of the sums


@settings(deadline=None, max_examples=100)
@given(costs=st.lists(st.integers(0, 10 ** 12), min_size=1, max_size=10), data=st.data())
def test_is_exact_for_whole_numbers_such_as_flops(costs, data):
    num_stages = data.draw(st.integers(1, min(4, len(costs))))
    assert slowest(costs, balance(costs, num_stages)) == least_possible(costs, num_stages)


@pytest.mark.parametrize("costs, counts", [
    ([1, 1, 1, 3], [3, 1]), ([3, 1, 1, 1], [1, 3]), ([1, 2, 3, 4, 5, 6, 7, 8, 9], [5, 2, 2]),
    ([5, 0, 0, 5], None), ([0, 0, 0], None)])
def test_known_partitions(costs, counts):
    num_stages = len(counts) if counts else 2
    result = balance(costs, num_stages)
    assert slowest(costs, result) == least_possible(costs, num_stages)
    assert counts is None or result == counts


def test_one_layer_for_every_stage():
    assert balance([9, 0, 1e9, 2], 4) == [1, 1, 1, 1]


def test_leaves_the_costs_alone():
    costs = [1.0, 2.0, 3.0]
    balance(costs, 2)
    assert costs == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("costs, num_stages, message", [
    ([1, 2], 0, "num_stages must be at least 1, got 0"),
    ([1, 2], -1, "num_stages must be at least 1, got -1"),
    ([1, 2], 3, "2 layers cannot fill 3 stages; use at most 2 contexts"),
    ([], 1, "0 layers cannot fill 1 stages"),
    ([1, -2, -3], 2, "costs must be at least 0.*; layer 1 has -2"),
    ([1, nan], 2, "costs must be at least 0.*; layer 1 has nan"),
])
def test_says_what_cannot_be_planned(costs, num_stages, message):
    with pytest.raises(ValueError, match=message):
        balance(costs, num_stages)


@pytest.mark.parametrize("costs", [[inf, 1, 1], [1, inf], [1e308] * 4])
def test_refuses_costs_whose_sum_is_infinite(costs):
    with pytest.raises(ValueError, match="inf"):
        balance(costs, 2)
