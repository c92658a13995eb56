"""Measures of forecasts against sums written out."""
import numpy as np
import pytest
from forecast_series.scoring import mae, naive_scale, rmse, scores
from forecast_series.series import SeriesSet
from forecast_series.windows import split


@pytest.fixture
def windows():
    values = np.random.RandomState(0).normal(size=(3, 300)) * np.array([1, 10, 100])[:, None]
    return split(SeriesSet(values, np.zeros((3, 300, 1))), 12, 5, 7)["test"]


def test_errors_by_step_are_means_over_windows(windows):
    forecast = np.random.RandomState(1).normal(size=windows.target.shape)
    for step in range(5):
        differences = [forecast[n, step] - windows.target[n, step] for n in range(len(windows))]
        assert mae(forecast, windows.target)[step] == pytest.approx(sum(map(abs, differences)) / len(windows))
        assert rmse(forecast, windows.target)[step] == pytest.approx(
            (sum(d * d for d in differences) / len(windows)) ** 0.5)


def test_scores_scale_each_series_by_its_own_naive_error(windows):
    forecast, scale = windows.target + np.array([1, 10, 100])[windows.series, None], np.array([2.0, 20.0, 200.0])
    errors = scores(forecast, windows, scale)
    assert errors["mase"] == pytest.approx(0.5) and errors["mase_by_step"] == [0.5] * 5
    assert errors["mae"] == pytest.approx(37) and errors["rmse"] == pytest.approx((10101 / 3) ** 0.5)


def test_the_scale_is_the_mean_change_over_a_season_of_training_hours_only():
    values = np.array([[1.0, 5, 2, 9, 4, 1000, 0], [0, 0, 0, 0, 0, 0, 0]])
    expected = (abs(2 - 1) + abs(9 - 5) + abs(4 - 2)) / 3
    np.testing.assert_allclose(naive_scale(SeriesSet(values, values), 2, 5), [expected, 0])
    with pytest.raises(ValueError, match="5 hours of training hold no two hours a season of 5 apart"):
        naive_scale(SeriesSet(values, values), 5, 5)
