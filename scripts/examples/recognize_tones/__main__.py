#!/usr/bin/env python3
"""Recognize sequences of generated tones with LSTM layers on several contexts, and CTC."""
import sys
from pathlib import Path

from mxmp import command, runtime

sys.path[0] = str(Path(__file__).parents[1])  # started as a folder, Python knows what is in it, but not itself

from recognize_tones.options import TonesOptions  # noqa: E402


def main() -> None:
    """Parse flags, set the threads, train."""
    options = command.parse_flags(TonesOptions, __doc__)
    runtime.configure(options.threads_per_context)

    from recognize_tones.train import run  # loads MXNet, which must be configured first
    run(options)


command.run(main)
