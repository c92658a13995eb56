"""Plans for several stages per context, against all ways to cut the chain."""
import pytest
from helpers.partitions import SMALL, all_partitions, ranges, total_sent
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.planning import balance


def parts_of(counts, context, num_contexts):
    return ranges(counts)[context::num_contexts]


def slowest(problem, counts):
    """Time of the slowest context."""
    contexts, sent = problem["num_stages"], [0, *problem["transfer"], 0]
    return max(sum(sum(problem["costs"][a:b]) / speed + sent[a] + sent[b] for a, b in parts_of(counts, i, contexts))
               for i, speed in enumerate(problem["speeds"]))


@st.composite
def problems(draw):
    """Whole numbers with many ties."""
    contexts, each = draw(st.sampled_from([(1, 2), (2, 2), (2, 3), (3, 2), (2, 4), (4, 2)]))
    costs = draw(st.lists(SMALL, min_size=contexts * each, max_size=11))
    return {"costs": costs, "num_stages": contexts, "stages_per_context": each,
            "transfer": draw(st.lists(SMALL, min_size=len(costs) - 1, max_size=len(costs) - 1)),
            "speeds": draw(st.lists(st.sampled_from([1, 2, 4]), min_size=contexts, max_size=contexts)),
            "memory": draw(st.lists(SMALL, min_size=len(costs), max_size=len(costs))),
            "memory_limit": draw(st.lists(st.integers(1, 30), min_size=contexts, max_size=contexts))}


@settings(deadline=None, max_examples=500)
@given(problem=problems())
def test_no_other_cut_makes_the_slowest_context_faster_or_sends_less(problem):
    contexts, limits = problem["num_stages"], problem["memory_limit"]
    fitting = [counts for counts in all_partitions(len(problem["costs"]), contexts * problem["stages_per_context"])
               if all(sum(sum(problem["memory"][a:b]) for a, b in parts_of(counts, i, contexts)) <= limit
                      for i, limit in enumerate(limits))]
    if not fitting:
        with pytest.raises(ValueError, match="nothing fits: of all plans .* is the tightest, and its context . needs"):
            balance(**problem)
        return
    counts = balance(**problem)
    assert counts in fitting
    least = min(slowest(problem, other) for other in fitting)
    assert slowest(problem, counts) == least
    assert total_sent(counts, problem["transfer"]) == min(
        total_sent(other, problem["transfer"]) for other in fitting if slowest(problem, other) == least)


@settings(deadline=None, max_examples=200)
@given(problem=problems())
def test_memory_may_depend_on_all_stages_of_a_context(problem):
    contexts, memory = problem["num_stages"], problem["memory"]

    def held(context, parts):  # what one stage keeps, and the largest of the others
        sizes = sorted(sum(memory[i] for i in part) for part in parts)
        return (contexts - context) * sizes[-1] + sum(sizes[-2:-1])

    fitting = [counts for counts in all_partitions(len(problem["costs"]), contexts * problem["stages_per_context"])
               if all(held(i, [range(*part) for part in parts_of(counts, i, contexts)]) <= 14 for i in range(contexts))]
    try:
        counts = balance(**{**problem, "memory": held, "memory_limit": 14})
    except ValueError as error:
        assert "nothing fits" in str(error) and not fitting
    else:
        assert slowest(problem, counts) == min(slowest(problem, other) for other in fitting)


def test_says_how_many_contexts_could_be_filled():
    with pytest.raises(ValueError, match="7 layers cannot fill 8 stages; use at most 3 contexts of 2 stages each"):
        balance([1] * 7, 4, stages_per_context=2)
    with pytest.raises(ValueError, match="stages_per_context must be at least 1, got 0"):
        balance([1] * 7, 4, stages_per_context=0)
