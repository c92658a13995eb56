"""Turns, order and grid of schedules, against the tests' own simulator."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import needed, replay

from mxmp.pipeline import Unit, fill_drain, forward_only, grid, in_order, one_f_one_b, wavefront
from mxmp.pipeline.schedule import SCHEDULES
from mxmp.pipeline.turns import needs, turns

MAKERS = [*SCHEDULES.values(), forward_only]
SIZES = st.tuples(st.integers(1, 8), st.integers(1, 16), st.integers(1, 8))
many = settings(max_examples=60, deadline=None)


def test_a_forward_unit_needs_the_stage_before_and_the_chunk_before():
    assert set(needs(Unit("F", 1, 2, 1), 3, 2)) == {Unit("F", 0, 2, 1), Unit("F", 1, 2, 0)}
    assert needs(Unit("F", 0, 2, 0), 3, 2) == []


def test_a_backward_unit_needs_its_forward_unit_the_stage_after_and_the_chunk_after():
    assert set(needs(Unit("B", 1, 2, 0), 3, 2)) == {Unit("F", 1, 2, 0), Unit("B", 2, 2, 0), Unit("B", 1, 2, 1)}
    assert needs(Unit("B", 2, 2, 1), 3, 2) == [Unit("F", 2, 2, 1)]


@pytest.mark.parametrize("make", MAKERS)
@given(sizes=SIZES)
@many
def test_every_unit_runs_in_the_first_turn_in_which_it_can(make, sizes):
    schedule = make(*sizes)
    rows = turns(schedule)
    assert all(unit is None or unit.stage == stage for row in rows for stage, unit in enumerate(row))
    found = {unit: (turn, turn + 1) for turn, row in enumerate(rows) for unit in row if unit}
    assert found == replay(schedule)


@pytest.mark.parametrize("make", MAKERS)
@given(sizes=SIZES)
@many
def test_in_order_gives_every_unit_once_after_what_it_needs_and_the_one_before_it(make, sizes):
    schedule = make(*sizes)
    order = in_order(schedule)
    place = {unit: i for i, unit in enumerate(order)}
    assert len(place) == len(order) == sum(map(len, schedule))
    waits = needed(schedule)
    for units in schedule:
        assert all(place[other] < place[unit] for unit in units for other in waits[unit])
        assert sorted(units, key=place.get) == units


def test_a_grid_has_a_line_per_stage_and_a_dot_where_it_waits():
    assert grid(fill_drain(2, 2)).splitlines() == [
        "stage 0  F0 F1 .  .  B1 B0",
        "stage 1  .  F0 F1 B1 B0 ."]
    assert grid(forward_only(3, 2)).splitlines() == [
        "stage 0  F0 F1 .  .",
        "stage 1  .  F0 F1 .",
        "stage 2  .  .  F0 F1"]


def test_with_chunks_every_label_has_its_chunk():
    assert grid(one_f_one_b(2, 2, 2)).splitlines() == [
        "stage 0  F0.0 F0.1 F1.0 F1.1 B0.1 B0.0 .    .    B1.1 B1.0",
        "stage 1  .    F0.0 F0.1 B0.1 B0.0 F1.0 F1.1 B1.1 B1.0 ."]
    assert grid(wavefront(2, 2, 2)).splitlines() == [
        "stage 0  F0.0 F1.0 F0.1 F1.1 .    .    B1.1 B0.1 B1.0 B0.0",
        "stage 1  .    F0.0 F1.0 F0.1 F1.1 B1.1 B0.1 B1.0 B0.0 ."]


def test_columns_stay_in_line_where_numbers_get_longer():
    lines = grid(fill_drain(2, 11)).splitlines()
    assert lines[0].startswith("stage 0  F0  F1 ") and "F9  F10 .   .   B10 B9 " in lines[0]
    assert lines[1].startswith("stage 1  .   F0 ")


@pytest.mark.parametrize("use", [turns, in_order, grid])
def test_an_order_that_cannot_run_is_refused_with_the_units_that_wait(use):
    schedule = fill_drain(2, 2)
    schedule[1].reverse()
    with pytest.raises(ValueError, match="cannot run: stage 0 waits before B1, stage 1 waits before B0"):
        use(schedule)


def test_stages_that_wait_for_each_other_are_refused():
    schedule = one_f_one_b(2, 2)
    schedule[0] = [Unit(kind, 0, m) for m in range(2) for kind in "FB"]  # stage 1 as it is would do
    assert len(turns(schedule)) == 8
    schedule[1] = [Unit("F", 1, 0), Unit("F", 1, 1), Unit("B", 1, 0), Unit("B", 1, 1)]
    with pytest.raises(ValueError, match="stage 0 waits before B0, stage 1 waits before F1"):
        turns(schedule)


def test_a_unit_that_never_comes_is_missed():
    schedule = fill_drain(2, 2)
    schedule[0].remove(Unit("F", 0, 1))
    with pytest.raises(ValueError, match="stage 1 waits before F1"):
        turns(schedule)
