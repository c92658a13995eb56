"""Schedules are checked as grids: every unit once, nothing before what it needs, length as the closed form says."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp.pipeline import Unit, fill_drain, forward_only, grid

SIZES = {"stages": st.integers(1, 8), "microbatches": st.integers(1, 16)}


def test_the_grid_is_that_of_the_gpipe_paper():
    assert grid(fill_drain(3, 4)).splitlines() == [
        "stage 0  F0 F1 F2 F3 .  .  .  .  B3 B2 B1 B0",
        "stage 1  .  F0 F1 F2 F3 .  .  B3 B2 B1 B0 .",
        "stage 2  .  .  F0 F1 F2 F3 B3 B2 B1 B0 .  ."]


@given(**SIZES)
def test_every_unit_occurs_once_on_its_stage(stages, microbatches):
    for stage, units in enumerate(fill_drain(stages, microbatches)):
        expected = {Unit(kind, stage, m) for kind in "FB" for m in range(microbatches)}
        assert len(units) == len(expected) and set(units) == expected


@given(**SIZES)
def test_a_step_takes_as_long_as_the_closed_form(stages, microbatches):
    rows = grid(fill_drain(stages, microbatches)).splitlines()
    assert {len(row.split()[2:]) for row in rows} == {2 * (microbatches + stages - 1)}


@given(**SIZES)
def test_the_forward_pass_alone_takes_half(stages, microbatches):
    rows = grid(forward_only(stages, microbatches)).splitlines()
    assert {len(row.split()[2:]) for row in rows} == {microbatches + stages - 1}


def test_the_grid_refuses_an_order_that_cannot_run():
    schedule = fill_drain(2, 2)
    schedule[1].reverse()
    with pytest.raises(ValueError, match="stage 1 waits before B0"):
        grid(schedule)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_no_stage_or_no_microbatch_is_an_error(sizes):
    with pytest.raises(ValueError, match="at least 1 stage and 1 micro-batch"):
        fill_drain(*sizes)
