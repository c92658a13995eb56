"""Windows: what is in them, and that no hour is in two splits."""
import numpy as np
import pytest
from forecast_series.generate import SeriesSet
from forecast_series.windows import split, train_end
from hypothesis import given, settings
from hypothesis import strategies as st


def numbered(num_series=2, num_hours=900):
    """Series whose values say which series and hour they are of."""
    values = 10_000.0 * np.arange(num_series)[:, None] + np.arange(num_hours)
    return SeriesSet(values, values[:, :, None] + 0.5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 17), st.integers(1, 3))
def test_windows_lie_whole_in_spans_that_follow_each_other(history, horizon, stride, num_series):
    series = numbered(num_series)
    windows = split(series, history, horizon, stride)
    hours = {}
    for name, found in windows.items():
        assert found.history.shape == (len(found), history) and found.target.shape == (len(found), horizon)
        assert set(found.series) == set(range(num_series))
        steps = found.begin[:, None] + np.arange(history + horizon)
        expected = series.values[found.series[:, None], steps]
        np.testing.assert_array_equal(np.concatenate([found.history, found.target], axis=1), expected)
        np.testing.assert_array_equal(found.covariates[..., 0], expected + 0.5)
        hours[name] = steps
    assert hours["train"].max() < hours["valid"].min() and hours["valid"].max() < hours["test"].min()
    assert train_end(windows) == 900 - 180 - 90


def test_a_stride_without_a_common_factor_begins_windows_at_all_hours_of_the_week():
    begins = split(numbered(1, 168 * 10), 24, 24, 5)["train"].begin
    assert set(begins % 168) == set(range(168))


def test_the_windows_of_one_series():
    found = split(numbered(3), 20, 4, 7)["train"]
    own = found.of(1)
    assert len(own) == len(found) // 3 and (own.history // 10_000 == 1).all() and (own.series == 1).all()


@pytest.mark.parametrize("sizes, message", [
    ((0, 4, 5), "must be at least 1, got 0, 4 and 5"),
    ((85, 10, 5), "the valid span of 90 hours is shorter than a window of 85 [+] 10")])
def test_windows_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        split(numbered(), *sizes)
