#!/usr/bin/env python3
"""Train a language model whose layers live on several contexts, and compare it with n-gram models."""
import logging
import time
from pathlib import Path

from mxmp import command, runtime
from mxmp.command import parse_options, save_options, saved_options
from mxmp.tasks.language.options import FIXED, Options


def main() -> None:
    """Parse flags, prepare the text, train."""
    options = parse_options(Options, FIXED, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.tasks.language.corpus import encode, load_corpus  # these load MXNet, which must be configured first
    from mxmp.tasks.language.training import Training
    from mxmp.tasks.placing import choose_contexts
    from mxmp.tasks.progress import start_log

    contexts = choose_contexts(options.contexts, options.gpus)
    folder = Path(options.output_dir or Path("runs") / f"lm-{options.dataset}-{time.strftime('%Y%m%d-%H%M%S')}")
    if saved_options(folder, Options) and not options.resume:
        raise ValueError(f"{folder} holds a training run; go on with --resume, or choose another --output_dir")
    text = load_corpus(options)
    folder.mkdir(parents=True, exist_ok=True)
    start_log(folder)
    log = logging.getLogger("mxmp")
    log.info("run folder %s, runtime %s", folder, runtime.report())
    training = Training(options, encode(text, options), contexts, folder)
    if options.resume:
        training.resume()
    for change in save_options(folder, training.options):
        log.info("resuming: %s", change)
    training.run()


if __name__ == "__main__":
    command.run(main, interrupted="interrupted; go on with --resume")
