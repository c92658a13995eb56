"""Forecasting many generated series: data, windows, baselines, the model as a chain, training.

The modules are imported one by one (``mxmp.series.options`` before MXNet loads, the others after).
"""
