"""Schedules are replayed: every unit once, no deadlock, as long and as much alive as the closed forms say."""
import random
import re

import pytest
from helpers.replay import length, needed, replay
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.schedule import (
    SCHEDULES,
    Unit,
    fill_drain,
    forward_only,
    grid,
    ideal_speedup,
    in_order,
    interleaved,
    needs,
    one_f_one_b,
    recomputed,
    rounds,
    wavefront,
)

MAKERS = [*SCHEDULES.values(), forward_only]
SIZES = st.tuples(st.integers(1, 8), st.integers(1, 16), st.integers(1, 8))
each_schedule = pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
many = settings(max_examples=60, deadline=None)


def turns_of(schedule):
    """How many turns the printed grid has."""
    counts = {len(line.split()[2:]) for line in grid(schedule).splitlines()}
    assert len(counts) == 1
    return counts.pop()


def sizes_in_words(text):
    stages, microbatches, chunks = re.search(r"for (\d+) stages, (\d+) micro-batch(?:es)?(?:, (\d+) chunks)?",
                                             text).groups()
    return int(stages), int(microbatches), int(chunks or 1)


def test_the_pipelines_choices_are_these_five():
    assert SCHEDULES == {"1f1b": one_f_one_b, "fill_drain": fill_drain, "wavefront": wavefront,
                         "interleaved": interleaved, "continuous": one_f_one_b}


@pytest.mark.parametrize("make", [fill_drain, one_f_one_b, wavefront])
def test_a_schedules_docstring_shows_its_grid(make):
    diagram = [line.strip() for line in make.__doc__.splitlines() if re.match(r" *stage \d", line)]
    assert grid(make(*sizes_in_words(make.__doc__))).splitlines() == diagram


@pytest.mark.parametrize("make", MAKERS)
@given(sizes=SIZES)
@many
def test_every_unit_occurs_once_on_its_stage(make, sizes):
    stages, microbatches, chunks = sizes
    kinds = "F" if make is forward_only else "FB"
    schedule = make(*sizes)
    assert len(schedule) == stages
    for stage, units in enumerate(schedule):
        assert sorted(units) == sorted(Unit(kind, stage, m, t) for kind in kinds for m in range(microbatches)
                                       for t in range(chunks))


@pytest.mark.parametrize("backward", [1, 2])
@each_schedule
@given(sizes=SIZES)
@many
def test_a_step_takes_as_long_as_the_closed_form(make, backward, sizes):
    stages, microbatches, chunks = sizes
    spans = replay(make(*sizes), lambda unit: 1 if unit.kind == "F" else backward)
    assert length(spans) == (1 + backward) * (microbatches * chunks + stages - 1)


@given(sizes=SIZES)
@many
def test_the_forward_pass_alone_takes_half(sizes):
    stages, microbatches, chunks = sizes
    assert length(replay(forward_only(*sizes))) == microbatches * chunks + stages - 1


@each_schedule
@given(sizes=SIZES, seed=st.integers(0, 1000))
@many
def test_units_of_any_duration_are_all_run_and_delay_no_more_than_the_longest_would(make, sizes, seed):
    stages, microbatches, chunks = sizes
    draw, schedule = random.Random(seed), make(*sizes)
    spans = replay(schedule, lambda unit: draw.uniform(1, 3))
    assert len(spans) == 2 * stages * microbatches * chunks
    turns = 2 * (microbatches * chunks + stages - 1)
    assert turns <= length(spans) <= 3 * turns + 1e-9


@given(sizes=SIZES, seed=st.integers(0, 1000))
@many
def test_1f1b_keeps_one_microbatch_more_per_stage_that_follows_whatever_the_durations(sizes, seed):
    stages, microbatches, chunks = sizes
    draw = random.Random(seed)
    spans = replay(one_f_one_b(*sizes), lambda unit: draw.uniform(1, 3))
    for stage in range(stages):
        lives = [(spans[Unit("F", stage, m, 0)][0], spans[Unit("B", stage, m, 0)][1]) for m in range(microbatches)]
        most = max(sum(begin <= now < end for begin, end in lives) for now, _ in lives)
        assert most == min(stages - stage, microbatches)


@pytest.mark.parametrize("make", [fill_drain, wavefront])
@given(sizes=SIZES)
@many
def test_the_others_keep_all_microbatches_until_the_last_forward_unit(make, sizes):
    for units in make(*sizes):
        assert "".join(unit.kind for unit in units) == "F" * (len(units) // 2) + "B" * (len(units) // 2)


@each_schedule
@given(sizes=SIZES)
@many
def test_chunks_ascend_forwards_and_descend_backwards(make, sizes):
    _, microbatches, chunks = sizes
    for units in make(*sizes):
        for m in range(microbatches):
            assert [u.chunk for u in units if u.microbatch == m and u.kind == "F"] == list(range(chunks))
            assert [u.chunk for u in units if u.microbatch == m and u.kind == "B"] == list(range(chunks))[::-1]


@given(sizes=SIZES)
@many
def test_the_wavefront_runs_one_chunk_of_all_microbatches_before_the_next(sizes):
    for units in wavefront(*sizes):
        chunks = [unit.chunk for unit in units]
        assert chunks == sorted(chunks[:len(chunks) // 2]) + sorted(chunks[len(chunks) // 2:], reverse=True)


@given(stages=st.integers(1, 8), microbatches=st.integers(1, 16))
@many
def test_a_wavefront_of_one_chunk_is_fill_drain(stages, microbatches):
    assert wavefront(stages, microbatches) == fill_drain(stages, microbatches)


@each_schedule
@given(sizes=SIZES)
@many
def test_the_ideal_speedup_is_that_of_the_grids(make, sizes):
    stages, microbatches, chunks = sizes
    # one stage would have all layers: each of its turns takes as long as one turn on every stage
    counted = stages * turns_of(make(1, microbatches, chunks)) / turns_of(make(*sizes))
    assert ideal_speedup(*sizes) == pytest.approx(counted)
    pieces = microbatches * chunks
    assert ideal_speedup(*sizes) == pytest.approx(stages * pieces / (pieces + stages - 1))


def test_a_unit_is_written_with_its_microbatch_and_its_later_chunks():
    assert [str(Unit("F", 2, 3)), str(Unit("B", 0, 10, 4))] == ["F3", "B10.4"]


@pytest.mark.parametrize("make", [*MAKERS, ideal_speedup])
@pytest.mark.parametrize("sizes", [(0, 2, 3), (2, 0, 3), (2, 3, 0), (-1, 2, 3)])
def test_sizes_below_one_are_refused_with_their_values(make, sizes):
    with pytest.raises(ValueError, match="1 stage, 1 micro-batch and 1 chunk, got {}, {} and {}$".format(*sizes)):
        make(*sizes)


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
    rows = rounds(schedule)
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


@pytest.mark.parametrize("use", [rounds, in_order, grid])
def test_an_order_that_cannot_run_is_refused_with_the_units_that_wait(use):
    schedule = fill_drain(2, 2)
    schedule[1].reverse()
    with pytest.raises(ValueError, match="cannot run: stage 0 waits before B1, stage 1 waits before B0"):
        use(schedule)


def test_stages_that_wait_for_each_other_are_refused():
    schedule = one_f_one_b(2, 2)
    schedule[0] = [Unit(kind, 0, m) for m in range(2) for kind in "FB"]  # stage 1 as it is would do
    assert len(rounds(schedule)) == 8
    schedule[1] = [Unit("F", 1, 0), Unit("F", 1, 1), Unit("B", 1, 0), Unit("B", 1, 1)]
    with pytest.raises(ValueError, match="stage 0 waits before B0, stage 1 waits before F1"):
        rounds(schedule)


def test_a_unit_that_never_comes_is_missed():
    schedule = fill_drain(2, 2)
    schedule[0].remove(Unit("F", 0, 1))
    with pytest.raises(ValueError, match="stage 1 waits before F1"):
        rounds(schedule)


def test_what_is_recomputed_are_forward_units_whose_backward_unit_does_not_follow():
    assert [sorted(map(str, recomputed(units))) for units in one_f_one_b(2, 3)] == [["F0", "F1", "F2"], []]
    assert [str(unit) for unit in sorted(recomputed(fill_drain(1, 3)[0]))] == ["F0", "F1"]


@pytest.mark.parametrize("stages, pieces, ideal", [(2, 8, 16 / 9), (2, 4, 1.6), (4, 4, 16 / 7), (1, 8, 1), (3, 1, 1)])
def test_the_ideal_speedup_by_hand(stages, pieces, ideal):
    assert ideal_speedup(stages, pieces) == pytest.approx(ideal)
