"""Windows: what is in them, that no hour is in two splits, and that no input knows the target."""
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.series.generate import SeriesSet, generate
from mxmp.series.windows import last_season, model_inputs, split, train_end


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


@pytest.mark.parametrize("season", [1, 3, 7, 10])
def test_the_last_season_is_the_latest_known_value_of_the_same_place(season):
    found = split(numbered(), 10, 17, 5)["test"]
    forecast = last_season(found, season)
    for row in range(0, len(found), 9):
        for step in range(17):
            hour = found.begin[row] + 10 + step
            while hour >= found.begin[row] + 10:
                hour -= season
            assert forecast[row, step] == 10_000 * found.series[row] + hour


def test_inputs_do_not_know_the_target_but_all_that_is_known():
    found = split(generate(2, 168 * 12, 1), 168, 24, 5)["test"]
    inputs = model_inputs(found)
    assert inputs.shape == (len(found), 192, 2 + 2 + 7) and inputs.dtype == np.float32
    np.testing.assert_array_equal(model_inputs(replace(found, target=found.target + 99)), inputs)
    mean, deviation = found.history.mean(1, keepdims=True), found.history.std(1, keepdims=True)
    np.testing.assert_allclose(inputs[:, :168, 0], (found.history - mean) / deviation, rtol=1e-4, atol=1e-5)
    assert not inputs[:, 168:, 0].any() and not inputs[:, :168, 1:4].any() and inputs[:, 168:, 1].all()
    np.testing.assert_allclose(inputs[:, 168:, 2], inputs[:, 144:168, 0])  # a day before
    np.testing.assert_allclose(inputs[:, 168:, 3], inputs[:, :24, 0])  # a week before
    np.testing.assert_allclose(inputs[..., 4:], found.covariates, rtol=1e-6)
    np.testing.assert_allclose(found.unscaled(found.scaled_target), found.target)


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


def test_a_season_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="season of 24 steps does not fit into the history of 20"):
        last_season(split(numbered(), 20, 4, 7)["test"], 24)
