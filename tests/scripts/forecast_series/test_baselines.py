"""The baselines against closed forms: periodic series, least squares, processes that a regression can know exactly."""
from dataclasses import replace

import numpy as np
import pytest
from forecast_series.baselines import LinearForecaster, best_season, ridge
from forecast_series.series import SeriesSet
from forecast_series.windows import last_season, split


def make_windows(values, history=24, horizon=4, seed=0):
    """Windows of given series with one covariate that says nothing."""
    noise = np.random.RandomState(seed).normal(size=(*values.shape, 1))
    return split(SeriesSet(values, noise), history, horizon, 1)


@pytest.mark.parametrize("season", [5, 12])
def test_the_best_season_of_a_periodic_series_is_its_own_and_its_forecast_is_right(season):
    period = np.random.RandomState(1).normal(size=season)
    windows = make_windows(np.tile(period, 60)[None])
    assert best_season(windows["train"], (5, 12)) == season
    np.testing.assert_array_equal(last_season(windows["test"], season), windows["test"].target)


@pytest.mark.parametrize("rows, columns", [(40, 6), (6, 40), (9, 9)])
def test_ridge_is_least_squares_with_a_penalty_but_none_on_the_intercept(rows, columns):
    rng = np.random.RandomState(2)
    inputs, target = rng.normal(size=(rows, columns)) + 3, rng.normal(size=(rows, 2)) - 5
    for strength, (coefficients, intercepts) in zip((0.5, 20.0), ridge(inputs, target, (0.5, 20.0))):
        penalty = np.hstack([np.sqrt(strength) * np.eye(columns), np.zeros((columns, 1))])
        design = np.vstack([np.hstack([inputs, np.ones((rows, 1))]), penalty])
        expected = np.linalg.lstsq(design, np.vstack([target, np.zeros((columns, 2))]), rcond=None)[0]
        np.testing.assert_allclose(coefficients, expected[:-1], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(intercepts, expected[-1], rtol=1e-7, atol=1e-9)


def test_ridge_refuses_a_strength_that_is_not_positive():
    with pytest.raises(ValueError, match="must be above 0, got"):
        ridge(np.ones((3, 2)), np.ones((3, 1)), (1.0, 0.0))


def oscillation(angle, num_hours, seed):
    """A wave around a level: two earlier values give the next one exactly."""
    rng = np.random.RandomState(seed)
    return rng.uniform(2, 5) * np.cos(angle * np.arange(num_hours) + rng.uniform(0, 6)) + rng.uniform(10, 20)


def test_what_is_linear_is_forecast_almost_exactly_by_one_regression_for_all():
    values = np.stack([oscillation(0.7, 400, seed) for seed in range(3)])
    windows = make_windows(values)
    forecast = LinearForecaster(windows["train"], windows["valid"], (1e-4, 1.0))(windows["test"])
    np.testing.assert_allclose(forecast, windows["test"].target, rtol=2e-3)


def test_series_that_follow_different_laws_get_a_regression_each():
    rng = np.random.RandomState(5)
    shared = rng.normal(size=600)
    values = np.stack([sign * np.concatenate([[0.0] * 4, shared[:-4]]) + 50 for sign in (1, -1)])
    covariates = np.stack([shared, shared])[:, :, None]  # the value four hours later, up to its sign
    windows = split(SeriesSet(values, covariates), 8, 4, 1)
    linear = LinearForecaster(windows["train"], windows["valid"], (1e-3, 1e3))
    assert linear.per_series and linear.strength == 1e-3
    errors = np.abs(linear(windows["test"]) - windows["test"].target)
    assert errors.mean() < 0.3 * np.abs(windows["test"].target - 50).mean()


def test_the_forecast_does_not_know_the_target():
    windows = make_windows(np.random.RandomState(3).normal(size=(2, 400)))
    linear = LinearForecaster(windows["train"], windows["valid"])
    other = replace(windows["test"], target=windows["test"].target + 9)
    np.testing.assert_array_equal(linear(other), linear(windows["test"]))
