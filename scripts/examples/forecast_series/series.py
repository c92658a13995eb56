"""Hourly series that no straight line and no single season explains, generated: what each is made of."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

DAY, WEEK = 24, 168  # hours

# Known of each hour in advance: waves from -1 to 1, 1 at weekends and during events, weather around 0.
COVARIATES = ("sine of the hour", "cosine of the hour", "sine of the weekday", "cosine of the weekday", "weekend",
              "event", "weather")


@dataclass(frozen=True)
class SeriesSet:
    """The values of K series over T hours, and what is known of each hour in advance."""

    values: np.ndarray  # (K, T) float64, in no particular unit; every series has a scale of its own
    covariates: np.ndarray  # (K, T, C) float64, the columns of `COVARIATES`


def generate(num_series: int, num_hours: int, seed: int) -> SeriesSet:
    """Draw series that are like the hourly loads of many sites; hour 0 is Monday's first. The ``seed`` fixes every
    number, and series k does not depend on how many there are.

    A series is ``level * trend * activity * weather response * events + noise``, where

    - the trend is a line whose slope changes at a few points, with steps that are not known in advance,
    - the activity has two daily waves with another shape at weekends, whose amplitude and phase wander, and a factor
      for each weekday,
    - the response rises on both sides of a comfortable weather, and the more so the higher the activity is,
    - an event, known in advance, comes up within hours, wears off, and counts for more in busy hours, and
    - the noise's deviation grows with the activity.
    """
    if num_series < 1 or num_hours < WEEK:
        raise ValueError(f"generate needs at least 1 series of {WEEK} hours, got {num_series} of {num_hours}")
    drawn = [_draw(np.random.RandomState([seed, k]), num_hours) for k in range(num_series)]
    return SeriesSet(np.stack([values for values, _ in drawn]), np.stack([known for _, known in drawn]))


def _draw(rng: np.random.RandomState, num_hours: int) -> Tuple[np.ndarray, np.ndarray]:
    """One series (T,) and its covariates (T, C)."""
    hours = np.arange(num_hours)
    calendar, weekend = _calendar(hours)
    event, weather = _events(rng, num_hours), _weather(rng, hours)
    activity = _activity(rng, hours, weekend)  # around 1, above 0
    level = np.exp(rng.normal(3.0, 0.8))
    comfort, strength = rng.uniform(-0.5, 0.5), rng.uniform(0.1, 0.35, size=2)  # below and above comfort
    discomfort = strength[0] * np.maximum(comfort - weather, 0) + strength[1] * np.maximum(weather - comfort, 0)
    gain = rng.uniform(0.2, 0.6) * _lagged(event, rng.uniform(2, 6), rng.uniform(20, 60))
    mean = level * _trend(rng, hours) * activity * (1 + discomfort * activity) * (1 + gain * activity)
    noise = rng.normal(size=num_hours) * level * rng.uniform(0.02, 0.05) * activity
    return mean + noise, np.column_stack([calendar, weekend, event, weather])


def _calendar(hours: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of hour and weekday (T, 4), and 1 at weekends (T,)."""
    angles = 2 * np.pi * np.column_stack([hours / DAY, hours / DAY, hours // DAY / 7, hours // DAY / 7])
    waves = np.where(np.arange(4) % 2, np.cos(angles), np.sin(angles))
    return waves, (hours % WEEK >= 5 * DAY).astype(float)


def _activity(rng: np.random.RandomState, hours: np.ndarray, weekend: np.ndarray) -> np.ndarray:
    """Daily waves by kind of day, their slow changes, and a factor for each weekday."""
    phase = 2 * np.pi * (hours + 2.0 * _wander(rng, len(hours))) / DAY
    shapes = []
    for height in (rng.uniform(0.25, 0.45), rng.uniform(0.1, 0.25)):  # workdays, weekends
        first, second = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
        shapes.append(height * (np.cos(phase - first) + 0.5 * np.cos(2 * phase - second)))
    daily = np.where(weekend > 0, shapes[1], shapes[0]) * (1 + 0.3 * _wander(rng, len(hours)))
    weekday = rng.uniform(0.85, 1.15, size=7)[hours // DAY % 7]
    return np.maximum(weekday * (1 + daily), 0.1)


def _trend(rng: np.random.RandomState, hours: np.ndarray) -> np.ndarray:
    """1 at the beginning, then a line whose slope changes, with a step in about four weeks; it stays above 0.3."""
    num_hours = len(hours)
    slopes, steps = np.zeros(num_hours), np.zeros(num_hours)
    for begin in [0, *np.sort(rng.randint(0, num_hours, size=rng.randint(1, 5)))]:
        slopes[begin:] = rng.normal(0, 0.02) / WEEK
    for begin in rng.randint(0, num_hours, size=rng.poisson(num_hours / (4 * WEEK))):
        steps[begin:] += rng.choice([-1, 1]) * rng.uniform(0.05, 0.2)
    return np.maximum(1 + np.cumsum(slopes) + steps, 0.3)


def _events(rng: np.random.RandomState, num_hours: int) -> np.ndarray:
    """1 during events, which begin about every ten days and last 6 to 30 hours."""
    event = np.zeros(num_hours)
    begin = rng.randint(0, 10 * DAY)
    while begin < num_hours:
        end = begin + rng.randint(6, 31)
        event[begin:end] = 1
        begin = end + rng.randint(3 * DAY, 17 * DAY)
    return event


def _lagged(event: np.ndarray, rise: float, decay: float) -> np.ndarray:
    """An event's effect: it comes up with one time constant while the event wears off with another (hours)."""
    effect, up, worn = np.zeros_like(event), 0.0, 0.0
    for t, on in enumerate(event):
        up += (on - up) / rise
        worn = worn + (1 - worn) / decay if on else 0.0
        effect[t] = up * (1 - worn)
    return effect


def _weather(rng: np.random.RandomState, hours: np.ndarray) -> np.ndarray:
    """A day's wave on slow changes, around 0 with deviation about 1."""
    wave = np.cos(2 * np.pi * (hours - 15) / DAY)
    return 0.5 * wave + 0.9 * _wander(rng, len(hours), 3 * DAY)


def _wander(rng: np.random.RandomState, num_hours: int, scale: int = 2 * WEEK) -> np.ndarray:
    """A smooth random curve with mean square 1 whose values some ``scale`` hours apart have little to do with each
    other: a weighted mean of white noise."""
    weights = np.hanning(2 * scale + 1)
    weights /= np.sqrt((weights ** 2).sum())
    return np.convolve(rng.normal(size=num_hours + 2 * scale), weights, mode="valid")
