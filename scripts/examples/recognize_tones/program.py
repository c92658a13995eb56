"""Recognize sequences of generated tones with LSTM layers on several contexts, and CTC."""
from mxmp import runtime
from mxmp.command import parse_flags

from .options import TonesOptions


def main() -> None:
    """Parse flags, train, measure."""
    options = parse_flags(TonesOptions, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.tasks.placing import choose_contexts
    from mxmp.tasks.short import open_folder

    from .recognizing import Recognizing  # these load MXNet, which must be configured first

    contexts = choose_contexts(options.contexts, options.gpus)
    Recognizing(options, contexts, open_folder(options, "tones")).run()
