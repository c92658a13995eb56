"""Forecasting many generated series: data, windows, baselines, the model as a chain, training.

The modules are imported one by one (``forecast_series.options`` before MXNet loads, the others after).
"""
