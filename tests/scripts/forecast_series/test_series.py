"""The generated series: the same for the same seed, and with the properties that their description promises."""
import datetime

import numpy as np
import pytest
from forecast_series.series import COVARIATES, WEEK, generate
from hypothesis import given, settings
from hypothesis import strategies as st

EVENT, WEATHER = COVARIATES.index("event"), COVARIATES.index("weather")


def test_the_same_seed_gives_the_same_series_and_another_seed_others():
    one, again, other = generate(3, 400, 7), generate(3, 400, 7), generate(3, 400, 8)
    np.testing.assert_array_equal(one.values, again.values)
    np.testing.assert_array_equal(one.covariates, again.covariates)
    assert not np.isclose(one.values, other.values).any()


def test_a_series_does_not_depend_on_how_many_there_are():
    np.testing.assert_array_equal(generate(2, 400, 7).values, generate(5, 400, 7).values[:2])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(WEEK, 1000), st.integers(0, 10_000))
def test_shapes_and_ranges(num_series, num_hours, seed):
    series = generate(num_series, num_hours, seed)
    assert series.values.shape == (num_series, num_hours) and np.isfinite(series.values).all()
    assert series.covariates.shape == (num_series, num_hours, len(COVARIATES))
    assert set(np.unique(series.covariates[..., EVENT])) <= {0, 1}
    assert np.abs(series.covariates[..., :4]).max() <= 1


def test_the_calendar_is_that_of_a_year_that_begins_on_a_monday():
    known = generate(1, 3 * WEEK, 1).covariates[0]
    for hour in range(0, 3 * WEEK, 5):
        when = datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=hour)  # a Monday
        angles = 2 * np.pi * np.array([when.hour / 24, when.weekday() / 7])
        expected = [np.sin(angles[0]), np.cos(angles[0]), np.sin(angles[1]), np.cos(angles[1]), when.weekday() >= 5]
        np.testing.assert_allclose(known[hour, :5], expected, atol=1e-12)


def test_days_and_weeks_repeat_and_events_and_weather_matter():
    series = generate(30, 10 * WEEK, 3)
    relative = series.values / series.values.mean(axis=1, keepdims=True)

    def change(hours):
        return np.abs(relative[:, hours:] - relative[:, :-hours]).mean()

    assert change(24) < 0.8 * change(12) and change(WEEK) < 0.8 * change(WEEK - 12)
    event, weather = series.covariates[..., EVENT] > 0, np.abs(series.covariates[..., WEATHER])
    assert relative[event].mean() > 1.1 * relative[~event].mean()
    assert relative[weather > 1.5].mean() > 1.1 * relative[weather < 0.5].mean()


def test_noise_is_larger_in_busy_hours():
    series = generate(30, 10 * WEEK, 3)
    rough = np.abs(np.diff(series.values, n=2, axis=1)) / series.values.mean(axis=1, keepdims=True)
    busy = series.values[:, 1:-1] > np.quantile(series.values, 0.8, axis=1)[:, None]
    quiet = series.values[:, 1:-1] < np.quantile(series.values, 0.2, axis=1)[:, None]
    assert rough[busy].mean() > 1.3 * rough[quiet].mean()


@pytest.mark.parametrize("sizes", [(0, 400), (1, WEEK - 1)])
def test_too_little_is_refused(sizes):
    with pytest.raises(ValueError, match="at least 1 series of 168 hours, got"):
        generate(*sizes, 1)
