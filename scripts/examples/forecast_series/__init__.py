"""Forecasting many generated series; `options` loads without MXNet, and `train` is where to begin to read."""
