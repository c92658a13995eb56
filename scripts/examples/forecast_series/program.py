"""Forecast many generated series with LSTM layers on several contexts, beside two baselines."""
from mxmp import runtime
from mxmp.command import parse_flags

from .options import SeriesOptions


def main() -> None:
    """Parse flags, train, measure."""
    options = parse_flags(SeriesOptions, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.tasks.placing import choose_contexts
    from mxmp.tasks.short import open_folder

    from .forecasting import Forecasting  # these load MXNet, which must be configured first

    contexts = choose_contexts(options.contexts, options.gpus)
    Forecasting(options, contexts, open_folder(options, "series")).run()
