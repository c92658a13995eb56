"""Windows: no hour is in two splits, the season before is the right one, and no input knows the target."""
from dataclasses import replace

import numpy as np
import pytest
from forecast_series.series import SeriesSet, generate
from forecast_series.windows import INPUT_SIZE, batches, last_season, model_inputs, split, train_end
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
    for name, part in windows.items():
        assert part.history.shape == (len(part), history) and part.target.shape == (len(part), horizon)
        assert set(part.series) == set(range(num_series))
        steps = part.begin[:, None] + np.arange(history + horizon)
        expected = series.values[part.series[:, None], steps]
        np.testing.assert_array_equal(np.concatenate([part.history, part.target], axis=1), expected)
        np.testing.assert_array_equal(part.covariates[..., 0], expected + 0.5)
        hours[name] = steps
    assert hours["train"].max() < hours["valid"].min() and hours["valid"].max() < hours["test"].min()
    assert train_end(windows) == 900 - 180 - 90


def test_a_stride_without_a_common_factor_begins_windows_at_all_hours_of_the_week():
    begins = split(numbered(1, 168 * 10), 24, 24, 5)["train"].begin
    assert set(begins % 168) == set(range(168))


def test_the_windows_of_one_series():
    windows = split(numbered(3), 20, 4, 7)["train"]
    own = windows.of(1)
    assert len(own) == len(windows) // 3 and (own.history // 10_000 == 1).all() and (own.series == 1).all()


@pytest.mark.parametrize("sizes, message", [
    ((0, 4, 5), "must be at least 1, got 0, 4 and 5"),
    ((85, 10, 5), "the valid span of 90 hours is shorter than a window of 85 [+] 10")])
def test_windows_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        split(numbered(), *sizes)


@pytest.mark.parametrize("season", [1, 3, 7, 10])
def test_the_last_season_is_the_latest_known_value_of_the_same_place(season):
    windows = split(numbered(), 10, 17, 5)["test"]
    forecast = last_season(windows, season)
    for row in range(0, len(windows), 9):
        for step in range(17):
            hour = windows.begin[row] + 10 + step
            while hour >= windows.begin[row] + 10:
                hour -= season
            assert forecast[row, step] == 10_000 * windows.series[row] + hour


def test_inputs_do_not_know_the_target_but_all_that_is_known():
    windows = split(generate(2, 168 * 12, 1), 168, 24, 5)["test"]
    inputs = model_inputs(windows)
    assert inputs.shape == (len(windows), 192, 2 + 2 + 7) and INPUT_SIZE == 11 and inputs.dtype == np.float32
    np.testing.assert_array_equal(model_inputs(replace(windows, target=windows.target + 99)), inputs)
    mean, deviation = windows.history.mean(1, keepdims=True), windows.history.std(1, keepdims=True)
    np.testing.assert_allclose(inputs[:, :168, 0], (windows.history - mean) / deviation, rtol=1e-4, atol=1e-5)
    assert not inputs[:, 168:, 0].any() and not inputs[:, :168, 1:4].any() and inputs[:, 168:, 1].all()
    np.testing.assert_allclose(inputs[:, 168:, 2], inputs[:, 144:168, 0])  # a day before
    np.testing.assert_allclose(inputs[:, 168:, 3], inputs[:, :24, 0])  # a week before
    np.testing.assert_allclose(inputs[..., 4:], windows.covariates, rtol=1e-6)
    np.testing.assert_allclose(windows.unscaled(windows.scaled_target), windows.target)


def test_a_season_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="season of 24 steps does not fit into the history of 20"):
        last_season(split(numbered(), 20, 4, 7)["test"], 24)


def test_an_epoch_has_every_row_once_in_an_order_that_seed_and_epoch_decide():
    arrays = np.arange(20), 2.0 * np.arange(20)
    first, again, other = (list(batches(arrays, 6, 1, epoch)) for epoch in (0, 0, 1))
    assert [len(rows) for rows, _ in first] == [6, 6, 6, 2]
    rows, values = (np.concatenate([array.asnumpy() for array in column]) for column in zip(*first))
    assert sorted(rows) == list(range(20)) and (values == 2 * rows).all()
    assert rows.tolist() == np.concatenate([array.asnumpy() for array, _ in again]).tolist()
    assert rows.tolist() != np.concatenate([array.asnumpy() for array, _ in other]).tolist()
