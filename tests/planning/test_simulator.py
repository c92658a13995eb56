import mxnet as mx
import pytest
from helpers.replay import replay
from hypothesis import given
from hypothesis import strategies as st

from mxmp.planning import LayerCost, Link, Plan, most_live, simulate
from mxmp.schedule import SCHEDULES, Unit, forward_only, ideal_speedup, needs, stream


def layers(*seconds, sent=0, kept=0, parameters=0):
    """Costs with forward and backward seconds."""
    return [LayerCost(f"layer {i}", 0, {f"p{i}": parameters}, (), sent, kept, forward=f, backward=b)
            for i, (f, b) in enumerate(seconds)]


def plan(*counts):
    return Plan(counts, [mx.cpu(i) for i in range(len(counts))])


SIZES = {"num_stages": st.integers(1, 5), "num_microbatches": st.integers(1, 8), "num_chunks": st.integers(1, 4)}


@pytest.mark.parametrize("name", SCHEDULES)
@given(**SIZES)
def test_equal_stages_reach_the_ideal(name, num_stages, num_microbatches, num_chunks):
    schedule = SCHEDULES[name](num_stages, num_microbatches, num_chunks)
    found = simulate(schedule, layers(*[(1, 1)] * num_stages), plan(*[1] * num_stages))
    one = 2 * num_stages * num_microbatches * num_chunks  # the same units, one after the other
    assert one / found.seconds == pytest.approx(ideal_speedup(num_stages, num_microbatches, num_chunks))
    assert found.bubble == pytest.approx(1 - one / found.seconds / num_stages)


@pytest.mark.parametrize("name", SCHEDULES)
@given(**SIZES, data=st.data())
def test_every_unit_runs_as_soon_as_it_can_and_no_sooner(name, num_stages, num_microbatches, num_chunks, data):
    seconds = data.draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=num_stages,
                                 max_size=num_stages))
    schedule = SCHEDULES[name](num_stages, num_microbatches, num_chunks)
    found = simulate(schedule, layers(*seconds, sent=3), plan(*[1] * num_stages), Link(1, 1.0))
    spans = {span.unit: span for span in found.spans}
    assert sorted(spans) == sorted(unit for units in schedule for unit in units)
    for units in schedule:
        free = 0.0
        for unit in units:
            ready = [spans[other].end + (4 if other.stage != unit.stage else 0)
                     for other in needs(unit, num_stages, num_chunks)]
            assert spans[unit].start == max([free, *ready])
            free = spans[unit].end
            assert free - spans[unit].start == seconds[unit.stage][unit.kind == "B"]


@pytest.mark.parametrize("name", SCHEDULES)
@given(**SIZES, data=st.data())
def test_agrees_with_an_independent_replay(name, num_stages, num_microbatches, num_chunks, data):
    seconds = data.draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=num_stages,
                                 max_size=num_stages))
    schedule = SCHEDULES[name](num_stages, num_microbatches, num_chunks)
    expected = replay(schedule, lambda unit: seconds[unit.stage][unit.kind == "B"])
    found = simulate(schedule, layers(*seconds), plan(*[1] * num_stages))
    assert {span.unit: (span.start, span.end) for span in found.spans} == expected


@given(num_stages=st.integers(1, 5), num_microbatches=st.integers(1, 8), seconds=st.integers(1, 5))
def test_a_stream_of_equal_stages_has_no_bubble_if_its_steps_are_long_enough(num_stages, num_microbatches, seconds):
    num_microbatches = max(num_microbatches, num_stages)
    found = simulate(stream(num_stages, num_microbatches, steps=4), layers(*[(seconds, 2 * seconds)] * num_stages),
                     plan(*[1] * num_stages), stream=num_microbatches)
    assert found.seconds == pytest.approx(3 * seconds * num_microbatches)
    assert found.bubble == pytest.approx(0)


@given(num_stages=st.integers(1, 4), num_microbatches=st.integers(1, 5), data=st.data())
def test_a_stream_agrees_with_an_independent_replay(num_stages, num_microbatches, data):
    schedule = stream(num_stages, num_microbatches, steps=3)
    times = data.draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=num_stages,
                               max_size=num_stages))
    spans = replay(schedule, lambda unit: times[unit.stage]["FB".index(unit.kind)])
    ends = [max(end for unit, (_, end) in spans.items() if unit.microbatch // num_microbatches == step)
            for step in range(3)]
    found = simulate(schedule, layers(*times), plan(*[1] * num_stages), stream=num_microbatches)
    assert found.seconds == pytest.approx(ends[1] - ends[0])


def test_an_example_by_hand():
    """1F1B on two stages: F0 F1 B0 B1 and F0 B0 F1 B1; forward 1 and 3, backward 2 and 4, the link 0.5."""
    found = simulate(SCHEDULES["1f1b"](2, 2, 1), layers((1, 2), (3, 4), sent=5), plan(1, 1), Link(0, 10.0))
    assert {(str(s.unit), s.unit.stage): (s.start, s.end) for s in found.spans} == {
        ("F0", 0): (0, 1), ("F1", 0): (1, 2), ("F0", 1): (1.5, 4.5), ("B0", 1): (4.5, 8.5), ("B0", 0): (9, 11),
        ("F1", 1): (8.5, 11.5), ("B1", 1): (11.5, 15.5), ("B1", 0): (16, 18)}
    assert found.seconds == 18 and found.busy_shares == [6 / 18, 14 / 18]


def test_recomputation_by_hand():
    """Fill-drain on two stages: F0 F1 B1 B0 on both, of which only the first micro-batch's forward is done again."""
    found = simulate(SCHEDULES["fill_drain"](2, 2, 1), layers((1, 2), (1, 2)), plan(1, 1), recompute=True)
    assert {(str(s.unit), s.unit.stage): (s.start, s.end) for s in found.spans} == {
        ("F0", 0): (0, 1), ("F1", 0): (1, 2), ("F0", 1): (1, 2), ("F1", 1): (2, 3), ("B1", 1): (3, 5),
        ("B0", 1): (5, 8), ("B1", 0): (5, 7), ("B0", 0): (7, 10)}


def test_recomputation_starts_before_the_gradients_come():
    """1F1B on two stages, forward 1 and backward 2: the first stage's F0 F1 B0 B1, and F0 B0 F1 B1 on the second."""
    found = simulate(SCHEDULES["1f1b"](2, 2, 1), layers((1, 2), (1, 2)), plan(1, 1), recompute=True)
    spans = {(str(s.unit), s.unit.stage): (s.start, s.end) for s in found.spans}
    assert spans["B0", 1] == (2, 4) and spans["B0", 0] == (3, 6)  # it has its activations at 4, from 3 on


def test_recomputation_holds_the_inputs_of_all_units_and_the_activations_of_one():
    costs = layers(*[(1, 1)] * 3, sent=100, kept=1000)
    found = simulate(SCHEDULES["fill_drain"](3, 4, 1), costs, plan(1, 1, 1), recompute=True)
    assert found.peak_bytes == (1000, 4 * 100 + 1000, 4 * 100 + 1000)


def test_layers_of_a_stage_add_up():
    found = simulate(SCHEDULES["1f1b"](2, 1, 1), layers((1, 2), (10, 20), (100, 200)), plan(2, 1))
    assert found.seconds == 333


def test_forward_only_schedules_too():
    assert simulate(forward_only(2, 3, 1), layers((1, 9), (1, 9)), plan(1, 1)).seconds == 4


def test_peak_memory_is_what_the_schedule_holds():
    costs = layers(*[(1, 1)] * 3, sent=100, kept=1000, parameters=5)
    drained, alternating = (simulate(SCHEDULES[name](3, 4, 1), costs, plan(1, 1, 1)).peak_bytes
                            for name in ("fill_drain", "1f1b"))
    static = 5 * 4 * 4  # parameters, gradients and Adam's two states, 4 bytes each
    assert drained == (static + 4 * 1000, static + 4 * 1100, static + 4 * 1100)
    assert alternating == (static + 3 * 1000, static + 2 * 1100, static + 1100)


@given(**SIZES)
def test_1f1b_holds_no_more_micro_batches_than_stages(num_stages, num_microbatches, num_chunks):
    live = [most_live(units) for units in SCHEDULES["1f1b"](num_stages, num_microbatches, num_chunks)]
    assert live == [num_chunks * min(num_stages - s, num_microbatches) for s in range(num_stages)]


def test_draws_what_it_found(tmp_path):
    simulate(SCHEDULES["1f1b"](2, 4, 1), layers((1, 2), (1, 2)), plan(1, 1)).save(str(tmp_path / "step.png"))
    assert (tmp_path / "step.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("schedule, costs, message", [
    (SCHEDULES["1f1b"](3, 1, 1), layers((1, 1), (1, 1)), "the schedule has 3 stages, the plan 1,1 has 2"),
    (SCHEDULES["1f1b"](2, 1, 1), layers((1, 1)), "the plan 1,1 places 2 layers, but there are costs of 1"),
    (SCHEDULES["1f1b"](2, 1, 1), layers((1, 1), (1, None)), "layer 'layer 1' has no seconds; measure them"),
])
def test_says_what_does_not_fit(schedule, costs, message):
    with pytest.raises(ValueError, match=message):
        simulate(schedule, costs, plan(1, 1))


def test_a_unit_of_an_unfinished_schedule_is_named():
    with pytest.raises(ValueError, match="the schedule cannot run: stage 0 waits before B0"):
        simulate([[Unit("B", 0, 0)]], layers((1, 1)), plan(1))


BY_TURNS = {"contexts": st.integers(1, 4), "each": st.integers(1, 3), "num_microbatches": st.integers(1, 9)}


def plan_by_turns(contexts, each):
    return Plan((1,) * (contexts * each), [mx.cpu(i) for i in range(contexts)] * each)


@given(**BY_TURNS, data=st.data())
def test_interleaved_units_run_in_their_contexts_order_as_an_independent_replay_says(contexts, each, num_microbatches,
                                                                                     data):
    turns = plan_by_turns(contexts, each)
    schedule = SCHEDULES["interleaved"](turns.contexts, num_microbatches, 1)
    seconds = data.draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=contexts * each,
                                 max_size=contexts * each))
    found = simulate(schedule, layers(*seconds), turns)
    assert {span.unit: (span.start, span.end) for span in found.spans} == replay(
        schedule, lambda unit: seconds[unit.stage][unit.kind == "B"])
    assert len(found.busy_shares) == len(found.peak_bytes) == contexts


@given(**BY_TURNS)
def test_equal_interleaved_stages_reach_their_ideal(contexts, each, num_microbatches):
    turns = plan_by_turns(contexts, each)
    found = simulate(SCHEDULES["interleaved"](turns.contexts, num_microbatches, 1),
                     layers(*[(1, 2)] * (contexts * each)), turns)
    ideal = ideal_speedup(contexts, num_microbatches, 1, each)
    assert 3 * contexts * each * num_microbatches / found.seconds == pytest.approx(ideal)
    assert found.bubble == pytest.approx(1 - ideal / contexts)


def test_a_context_holds_what_its_stages_hold_at_once(tmp_path):
    """By the grid: after 0F0 0F1 2F0 2F1 0F2 2B0 0F3 the first context holds four units of stage 0 and one of stage 2;
    after 1F0 1F1 3F0 3B0 3F1 3B1 1F2 the second one three of stage 1. One parameter is stage 0's and stage 2's."""
    costs = [LayerCost(f"layer {i}", 0, {"shared" if i in (0, 2) else f"p{i}": 5}, (), 100, kept, forward=1, backward=1)
             for i, kept in enumerate((1000, 2000, 30, 40))]
    turns = plan_by_turns(2, 2)
    found = simulate(SCHEDULES["interleaved"](turns.contexts, 4, 1), costs, turns)
    static = 5 * 4 * 4
    assert found.peak_bytes == (static + 4 * 1000 + 1 * 130, 2 * static + 3 * 2100)
    found.save(str(tmp_path / "step.svg"))
    text = (tmp_path / "step.svg").read_text()
    assert "<!-- 3B1 -->" in text and text.count("<!-- cpu(") == 2


def test_a_row_is_of_one_context():
    with pytest.raises(ValueError, match=r"a row of the schedule has stages on several contexts of the plan "
                                         r"\(cpu\(0\), cpu\(1\), cpu\(2\), cpu\(3\)\); make it for these contexts"):
        simulate(SCHEDULES["interleaved"]([0, 1] * 2, 1, 1), layers(*[(1, 1)] * 4), plan(1, 1, 1, 1))
