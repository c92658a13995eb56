"""From flags to contexts and a plan."""
import mxnet as mx

from mxmp.tasks.placing import choose_contexts, choose_plan
from mxmp.tasks.translation.model import ModelOptions, chain_costs, translation_chain

TWO = [mx.cpu(0), mx.cpu(1)]


def costs():
    return chain_costs(translation_chain(ModelOptions(600, 600, True, 32, 48, 2, 2)))


def test_the_default_plan_is_as_balanced_as_any_cut():
    work = [cost.flops for cost in costs()]
    plan = choose_plan(costs(), TWO)
    slowest = [max(sum(work[:cut]), sum(work[cut:])) for cut in range(1, len(work))]
    assert max(sum(work[i] for i in stage) for stage in plan.ranges) == min(slowest)


def test_an_explicit_plan_is_taken_as_it_is():
    assert choose_plan(costs(), TWO, "3,6").counts == (3, 6)


def test_gpus_take_the_place_of_contexts(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 2)
    assert choose_contexts("cpu(0-1)", "0,1") == [mx.gpu(0), mx.gpu(1)]
    assert choose_contexts("cpu(0-1)", None) == TWO


def test_contexts_get_stages_by_turns():
    plan = choose_plan(costs(), TWO, turns=2)
    assert plan.contexts == (*TWO, *TWO)
    work = [cost.flops for cost in costs()]
    loads = [sum(work[i] for stage in plan.ranges[context::2] for i in stage) for context in range(2)]
    assert max(loads) < 1.05 * sum(work) / 2  # one stage each is 8% off
    assert choose_plan(costs(), TWO, "1,2,2,4", turns=2).counts == (1, 2, 2, 4)
