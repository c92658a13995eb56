import itertools
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.planning import Misfit, span


def ways(num_layers, num_contexts):
    """Every cut into stages, with the contexts that are left over for the last stage's softmax."""
    for stages in range(1, min(num_layers, num_contexts) + 1):
        for cuts in itertools.combinations(range(1, num_layers), stages - 1):
            yield [b - a for a, b in zip((0, *cuts), (*cuts, num_layers))], num_contexts - stages + 1


def stages(values, counts, extra):
    """Sums of each stage's layers, the last one's with something more."""
    ends = list(itertools.accumulate(counts))
    sums = [fsum(values[end - count:end]) for end, count in zip(ends, counts)]
    return [*sums[:-1], sums[-1] + extra], ends


def slowest(problem, counts, spanned):
    sums, ends = stages(problem["costs"], counts, problem["softmax"] / spanned + problem["sending"] * (spanned - 1))
    sent = [0, *[problem["transfer"][end - 1] for end in ends[:-1]], 0]
    return max(time + before + after for time, before, after in zip(sums, sent, sent[1:]))


def fits(problem, counts, spanned):
    sums, _ = stages(problem["memory"], counts, problem["softmax_memory"] / spanned)
    return max(sums) <= problem["memory_limit"]


SMALL = st.integers(0, 6)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), num_layers=st.integers(1, 7), num_contexts=st.integers(1, 6))
def test_no_other_way_is_faster(data, num_layers, num_contexts):
    def some(count):
        return data.draw(st.lists(SMALL, min_size=count, max_size=count))

    problem = {"costs": some(num_layers), "softmax": data.draw(st.integers(0, 30)), "num_contexts": num_contexts,
               "memory": some(num_layers), "softmax_memory": data.draw(st.integers(0, 30)),
               "memory_limit": data.draw(st.integers(1, 25)), "transfer": some(num_layers - 1),
               "sending": data.draw(SMALL)}
    fitting = [way for way in ways(num_layers, num_contexts) if fits(problem, *way)]
    if not fitting:
        with pytest.raises(Misfit, match="nothing fits"):
            span(**problem)
        return
    counts, spanned = span(**problem)
    assert (counts, spanned) in fitting
    best = min(slowest(problem, *way) for way in fitting)
    assert slowest(problem, counts, spanned) == pytest.approx(best, rel=1e-12)
    assert spanned == min(k for c, k in fitting if slowest(problem, c, k) <= best * (1 + 1e-12))


def test_half_of_eight_contexts_go_to_a_softmax_as_heavy_as_four_layers():
    # Sutskever et al. 2014, section 3.5: four layers on four GPUs, the softmax on the other four
    assert span([10, 10, 10, 10, 0], 40, 8) == ([1, 1, 1, 1, 1], 4)


def test_a_light_softmax_stays_on_one_context():
    assert span([4, 4, 4, 4], 0.5, 4) == ([1, 1, 1, 1], 1)


def test_more_contexts_than_layers_go_to_the_softmax():
    assert span([1, 1], 1, 5) == ([1, 1], 4)


@pytest.mark.parametrize("costs, contexts", [([], 2), ([1.0], 0)])
def test_without_a_layer_or_a_context_there_is_no_way(costs, contexts):
    with pytest.raises(ValueError, match=f"got {contexts} contexts and {len(costs)} layers"):
        span(costs, 1, contexts)
