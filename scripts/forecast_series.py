#!/usr/bin/env python3
"""Forecast many generated series with LSTM layers on several contexts, beside two baselines."""
from mxmp import program, runtime
from mxmp.series.options import SeriesOptions
from mxmp.training.short_options import parse_short


def main() -> None:
    """Parse flags, train, measure."""
    options = parse_short(SeriesOptions, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.series.forecasting import Forecasting  # these load MXNet, which must be configured first
    from mxmp.training.placing import choose_contexts
    from mxmp.training.short import open_folder

    contexts = choose_contexts(options.contexts, options.gpus)
    Forecasting(options, contexts, open_folder(options, "series")).run()


if __name__ == "__main__":
    program.run(main)
