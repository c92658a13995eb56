"""What forecasters read: the season before is the right one, and no input knows the target."""
from dataclasses import replace

import numpy as np
import pytest
from forecast_series.generate import SeriesSet, generate
from forecast_series.inputs import last_season, model_inputs
from forecast_series.windows import split


def numbered(num_series=2, num_hours=900):
    """Series whose values say which series and hour they are of."""
    values = 10_000.0 * np.arange(num_series)[:, None] + np.arange(num_hours)
    return SeriesSet(values, values[:, :, None] + 0.5)


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


def test_a_season_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="season of 24 steps does not fit into the history of 20"):
        last_season(split(numbered(), 20, 4, 7)["test"], 24)
