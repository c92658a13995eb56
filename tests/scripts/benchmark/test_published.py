"""Planner and simulator against profiles that others published."""
import json
from itertools import accumulate, chain, combinations
from math import comb

import mxnet as mx
import numpy as np
import pytest
from benchmark.published import DATA_PARALLEL, MODELS, best_cut, load, speedup
from helpers.programs import ROOT, run

from mxmp.planning import tune


@pytest.mark.parametrize("model, layers, milliseconds, megabytes", [("gnmt_8", 17, 89.416, 775.1),
                                                                    ("gnmt_16", 33, 520.453, 1110.9)])
def test_a_profile_has_all_of_the_published_graphs_time_and_parameters(model, layers, milliseconds, megabytes):
    costs = load(model).costs()
    assert len(costs) == len({cost.name for cost in costs}) == layers
    assert 1e3 * sum(cost.work for cost in costs) == pytest.approx(milliseconds)
    assert 4e-6 * sum(cost.parameters for cost in costs) == pytest.approx(megabytes, abs=0.05)


def test_an_lstm_layer_of_1024_has_its_published_figures():
    (layer,) = [cost for cost in load("gnmt_16").costs() if cost.name == "encoder_2"]
    assert (layer.forward, layer.backward, layer.parameters) == (0.006887, 0.013549, 4 * 1024 * (2 * 1024 + 2))


def test_a_cut_sends_residual_sums_and_the_attentions_context_beside_a_layers_output():
    one = 128 * 25 * 1024 * 4
    sent = {cost.name: cost.sent_bytes / one for cost in load("gnmt_16").costs()}
    assert [sent[name] for name in ("encoder_0", "encoder_1", "encoder_2_dropout", "encoder_2")] == [2, 1, 2, 1]
    assert [sent[name] for name in ("target_embedding", "decoder_0_attention", "decoder_1_dropout", "decoder_1",
                                    "decoder_2_dropout", "decoder_6", "decoder_7", "classifier")] == [
        2, 2, 2, 2, 3, 2, 1, 0]


def least_slowest(work, count):
    """The slowest stage of the best of all contiguous cuts."""
    sums = np.array([0.0, *accumulate(work)])
    number = comb(len(work) - 1, count - 1)
    inner = np.fromiter(chain.from_iterable(combinations(range(1, len(work)), count - 1)), int, number * (count - 1))
    ends = np.column_stack([np.zeros(number, int), inner.reshape(number, -1), np.full(number, len(work))])
    return np.diff(sums[ends]).max(1).min()


@pytest.mark.parametrize("model, count, published", [
    ("gnmt_16", 2, 1.98), ("gnmt_16", 4, 3.80), ("gnmt_16", 8, 6.28),
    ("gnmt_8", 2, None), ("gnmt_8", 4, None), ("gnmt_8", 8, None)])
def test_the_planners_cut_is_the_best_of_all(model, count, published):
    work = [cost.work for cost in load(model).costs()]
    counts, limit = best_cut(load(model), count)
    assert sum(counts) == len(work) and len(counts) == count
    assert limit == pytest.approx(sum(work) / least_slowest(work, count), rel=1e-12)
    assert published is None or round(limit, 2) == published


@pytest.mark.parametrize("count, microbatches", [(2, 8), (4, 8), (4, 32), (8, 8)])
@pytest.mark.parametrize("model", MODELS)
def test_a_simulated_fill_drain_step_takes_as_long_as_the_closed_form(model, count, microbatches):
    profile, contexts = load(model), list(map(mx.gpu, range(count)))
    costs, link = profile.costs(), profile.link(contexts)
    best = tune(lambda *_: costs, contexts, [microbatches], schedules=["fill_drain"], transfer=link)[0]
    passes = [[sum(getattr(costs[i], kind) for i in part) for part in best.plan.ranges]
              for kind in ("forward", "backward")]
    sent = sum(link.seconds(costs[part.stop - 1].sent_bytes) for part in best.plan.ranges[:-1])
    # in each direction the first micro-batch goes through all stages, and the others follow the slowest one's
    seconds = sum(sum(stages) + (microbatches - 1) * max(stages) + sent for stages in passes)
    one = microbatches * sum(cost.work for cost in costs)
    assert speedup(profile, count, microbatches, "fill_drain") == pytest.approx(one / seconds, rel=1e-9)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the command prints, and the rows that it saves; it searches for a minute."""
    path = tmp_path_factory.mktemp("published") / "all.json"
    done = run("benchmark", "published", "--json", path)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(path.read_text(encoding="utf-8"))["rows"]


@pytest.mark.long
def test_no_schedule_beats_the_cut_without_bubble_and_more_microbatches_come_nearer(printed):
    for few, many in zip(*[iter(printed[1])] * 2):
        assert few["num_microbatches"] < many["num_microbatches"] and few["limit"] == many["limit"]
        for name in few["speedups"]:  # interleaved stages may be cut more evenly than one for each context
            limit = many["contexts"] if name == "interleaved" else many["limit"]
            assert few["speedups"][name] <= many["speedups"][name] * (1 + 1e-9) <= limit * (1 + 2e-9)


def test_data_parallel_figures_have_the_published_scaling():
    tokens = DATA_PARALLEL["gnmt_8"]
    assert [round(tokens[gpus] / tokens[1], 3) for gpus in (1, 4, 8)] == [1, 3.564, 7.2]


@pytest.mark.long
def test_the_page_shows_what_the_command_prints(printed):
    page = (ROOT / "docs" / "planner.md").read_text(encoding="utf-8")
    assert "python scripts/benchmark published\n" in page and printed[0] in page
