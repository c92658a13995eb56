#!/usr/bin/env python3
"""Recognize sequences of generated tones with LSTM layers on several contexts, and CTC."""
from mxmp import program, runtime
from mxmp.tones.options import TonesOptions
from mxmp.training.short_options import parse_short


def main() -> None:
    """Parse flags, train, measure."""
    options = parse_short(TonesOptions, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.tones.recognizing import Recognizing  # these load MXNet, which must be configured first
    from mxmp.training.placing import choose_contexts
    from mxmp.training.short import open_folder

    contexts = choose_contexts(options.contexts, options.gpus)
    Recognizing(options, contexts, open_folder(options, "tones")).run()


if __name__ == "__main__":
    program.run(main)
