#!/usr/bin/env python3
"""Forecast many generated series with LSTM layers on several contexts, beside two baselines."""
import sys
from pathlib import Path

from mxmp import command

sys.path[0] = str(Path(__file__).parents[1])  # started as a folder, Python knows what is in it, but not itself

from forecast_series.program import main  # noqa: E402

command.run(main)
