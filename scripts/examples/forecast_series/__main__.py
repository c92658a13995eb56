#!/usr/bin/env python3
"""Forecast many generated series with LSTM layers on several contexts, beside two baselines."""
import sys
from pathlib import Path

from mxmp import command, runtime

sys.path[0] = str(Path(__file__).parents[1])  # started as a folder, Python knows what is in it, but not itself

from forecast_series.options import SeriesOptions  # noqa: E402


def main() -> None:
    """Parse flags, set the threads, train."""
    options = command.parse_flags(SeriesOptions, __doc__)
    runtime.configure(options.threads_per_context)

    from forecast_series.train import run  # loads MXNet, which must be configured first
    run(options)


command.run(main)
