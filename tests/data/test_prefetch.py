"""Prefetching: order, depth, errors, an early end."""
import threading

import pytest

from mxmp.data.prefetch import prefetch


def test_results_come_in_order():
    assert list(prefetch(lambda x: x * x, range(20), depth=3)) == [x * x for x in range(20)]


def test_no_more_than_depth_are_made_ahead():
    made = []
    results = prefetch(lambda x: made.append(x) or x, range(20), depth=3)
    assert next(results) == 0
    results.close()
    assert len(made) <= 4


def test_work_is_done_in_another_thread_which_ends_with_the_iteration():
    before = threading.active_count()
    (name,) = list(prefetch(lambda _: threading.current_thread().name, [0]))
    assert name.startswith("mxmp-prefetch") and threading.active_count() == before


def test_an_error_reaches_the_caller_at_its_item():
    results = prefetch(lambda x: 1 // x, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
