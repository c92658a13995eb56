"""Streams of steps: every unit once, after what it needs, and no stage waits for the end of a step."""
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.schedule import Unit, continuous, in_order, one_f_one_b, stream

STEPS = st.lists(st.integers(1, 9), min_size=1, max_size=5)
many = settings(max_examples=60, deadline=None)


def stream_of(num_stages, steps):
    """Each stage's units of steps of so many micro-batches, which are numbered on, and where each turn ends."""
    schedule, ends, first = [[] for _ in range(num_stages)], [], 0
    for before, now in zip([0, *steps], [*steps, 0]):
        for units, turn in zip(schedule, continuous(num_stages, now, before)):
            units += [unit._replace(microbatch=unit.microbatch + first) for unit in turn]
        ends.append([len(units) for units in schedule])
        first += before
    return schedule, ends


def test_the_docstring_shows_a_turn():
    diagram = [line.split()[2:] for line in continuous.__doc__.splitlines() if re.match(r" *stage \d", line)]
    assert [[str(unit) for unit in units] for units in continuous(3, 4, 4)] == diagram


@given(stages=st.integers(1, 6), steps=STEPS)
@many
def test_every_unit_occurs_once_after_what_it_needs(stages, steps):
    schedule, _ = stream_of(stages, steps)
    assert sorted(unit for units in schedule for unit in units) == sorted(
        Unit(kind, stage, m) for kind in "FB" for stage in range(stages) for m in range(sum(steps)))
    in_order(schedule)  # or else it cannot run


@given(stages=st.integers(1, 6), steps=STEPS)
@many
def test_a_step_is_over_with_the_next_ones_turn(stages, steps):
    schedule, ends = stream_of(stages, steps)
    for turn in range(1, len(ends)):
        done = {(unit.kind, unit.microbatch) for units, end in zip(schedule, ends[turn]) for unit in units[:end]}
        assert {("B", m) for m in range(sum(steps[:turn]))} <= done
        for units, end in zip(schedule, ends[turn - 1]):  # and all of its forward units with its own
            assert {unit.microbatch for unit in units[:end] if unit.kind == "F"} == set(range(sum(steps[:turn])))


@given(stages=st.integers(1, 6), steps=STEPS)
@many
def test_a_stage_keeps_no_more_than_1f1b_and_than_two_steps(stages, steps):
    for stage, units in enumerate(stream_of(stages, steps)[0]):
        live = most = 0
        for unit in units:
            live += 1 if unit.kind == "F" else -1
            most = max(most, live)
        assert most <= min(stages - stage, max(steps) + 1)


@given(stages=st.integers(1, 6), microbatches=st.integers(1, 9), steps=st.integers(1, 5))
@many
def test_steps_of_enough_microbatches_are_1f1b_of_one_long_step(stages, microbatches, steps):
    schedule = stream_of(stages, [microbatches] * steps)[0]
    assert schedule == stream(stages, microbatches, 1, steps)
    if microbatches >= stages - 1:
        assert schedule == one_f_one_b(stages, microbatches * steps)


def test_a_stream_needs_a_stage():
    with pytest.raises(ValueError, match="at least 1 stage"):
        continuous(0, 4)
