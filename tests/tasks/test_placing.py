"""From flags to contexts and a plan."""
from dataclasses import replace

import mxnet as mx

from mxmp.planning import simulate
from mxmp.schedule import SCHEDULES
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


def seconds(plan, schedule):
    """Of a step of four micro-batches whose layers take as long as their work."""
    timed = [replace(cost, forward=cost.flops, backward=cost.backward_flops) for cost in costs()]
    return simulate(SCHEDULES[schedule](plan.contexts, 4, 1), timed, plan).seconds


def test_contexts_get_stages_by_turns_of_which_each_has_work():
    plan = choose_plan(costs(), TWO, turns=2, pieces=4)
    assert plan.contexts == (*TWO, *TWO)
    assert all(any(costs()[i].flops for i in stage) for stage in plan.ranges)
    assert seconds(plan, "interleaved") < 0.95 * seconds(choose_plan(costs(), TWO), "1f1b")
    assert choose_plan(costs(), TWO, "1,2,2,4", turns=2).counts == (1, 2, 2, 4)
