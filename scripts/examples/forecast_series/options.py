"""The forecasting run's options."""
from __future__ import annotations

from dataclasses import dataclass

from example_run import ExampleOptions

from mxmp.command import check_at_least, flag


@dataclass(frozen=True)
class SeriesOptions(ExampleOptions):
    """Sizes of the generated set and of the model besides what all examples have."""

    num_series: int = flag(32, "generated series")
    num_weeks: int = flag(26, "their length; the last fifth is for testing, the tenth before it for validation")
    history: int = flag(168, "hours that a forecast may look back on, at least a week")
    horizon: int = flag(24, "hours that are forecast")
    num_layers: int = flag(2, "LSTM layers")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, self, "num_series", "num_weeks", "horizon", "num_layers")
        check_at_least(168, self, "history")
