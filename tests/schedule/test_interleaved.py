"""Interleaved 1F1B, replayed: every unit once, no deadlock, the ideal length, and no more held than the paper says."""
import re

import pytest
from helpers.replay import length, replay
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.schedule import Unit, forward_only, grid, ideal_speedup, in_order, interleaved, needs, rounds

SIZES = {"contexts": st.integers(1, 6), "rounds_of": st.integers(1, 4), "microbatches": st.integers(1, 14),
         "chunks": st.integers(1, 3)}
many = settings(max_examples=100, deadline=None)


def stages_on(contexts, rounds_of):
    return list(range(contexts)) * rounds_of


def test_its_docstring_shows_its_grid():
    diagram = [line.strip() for line in interleaved.__doc__.splitlines() if re.match(r" *context \d", line)]
    assert grid(interleaved([0, 1] * 2, 4)).splitlines() == diagram


@given(**SIZES)
@many
def test_every_unit_comes_once_on_its_context_after_what_it_needs(contexts, rounds_of, microbatches, chunks):
    schedule = interleaved(stages_on(contexts, rounds_of), microbatches, chunks)
    num_stages = contexts * rounds_of
    for context, units in enumerate(schedule):
        assert sorted(units) == sorted(Unit(kind, stage, m, t) for kind in "FB"
                                       for stage in range(context, num_stages, contexts)
                                       for m in range(microbatches) for t in range(chunks))
    place = {unit: i for i, unit in enumerate(in_order(schedule))}  # which a deadlock would end
    assert all(place[other] < place[unit] for unit in place for other in needs(unit, num_stages, chunks))


@pytest.mark.parametrize("backward", [1, 2])
@given(**SIZES)
@many
def test_a_step_takes_as_long_as_the_closed_form_whatever_divides(backward, contexts, rounds_of, microbatches, chunks):
    schedule = interleaved(stages_on(contexts, rounds_of), microbatches, chunks)
    pieces = microbatches * chunks
    turns = rounds_of * max(pieces, contexts) + min(pieces, contexts) - 1
    assert length(replay(schedule, lambda unit: 1 if unit.kind == "F" else backward)) == (1 + backward) * turns


@given(**SIZES)
@many
def test_a_context_holds_no_more_units_than_the_paper_says(contexts, rounds_of, microbatches, chunks):
    divided = contexts * microbatches  # by as many micro-batches as there are contexts
    for context, units in enumerate(interleaved(stages_on(contexts, rounds_of), divided)):
        live = most = 0
        for unit in units:
            live += 1 if unit.kind == "F" else -1
            most = max(most, live)
        # Narayanan et al. 2021: the warm-up's 2 (p - r - 1) + (v - 1) p units, and one
        assert most == min(2 * (contexts - context - 1) + (rounds_of - 1) * contexts + 1, divided * rounds_of)


@pytest.mark.parametrize("contexts, microbatches, rounds_of, ideal", [(2, 4, 2, 16 / 9), (8, 16, 2, 8 * 32 / 39),
                                                                     (2, 3, 2, 12 / 7), (4, 2, 2, 16 / 9)])
def test_the_ideal_speedup_is_counted_in_rounds(contexts, microbatches, rounds_of, ideal):
    one_context = 2 * contexts * rounds_of * microbatches  # all units, one after the other
    turns = len(rounds(interleaved(stages_on(contexts, rounds_of), microbatches)))
    assert one_context / turns == pytest.approx(ideal)
    assert ideal_speedup(contexts, microbatches, 1, rounds_of) == pytest.approx(ideal)


@given(**SIZES)
@many
def test_evaluation_goes_round_the_contexts_without_waiting(contexts, rounds_of, microbatches, chunks):
    schedule = forward_only(stages_on(contexts, rounds_of), microbatches, chunks, "interleaved")
    pieces = microbatches * chunks
    assert {unit.kind for units in schedule for unit in units} == {"F"}
    assert len(rounds(schedule)) == rounds_of * max(pieces, contexts) + min(pieces, contexts) - 1


@pytest.mark.parametrize("places", ["abba", "aabb", "aba", "abac"])
def test_contexts_that_do_not_take_turns_are_refused(places):
    with pytest.raises(ValueError, match="by turns, as on a,b,a,b; got " + ",".join(places)):
        interleaved(places, 4)


def test_a_number_stands_for_as_many_contexts():
    assert interleaved(3, 4, 2) == interleaved("abc", 4, 2)
