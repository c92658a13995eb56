#!/usr/bin/env python3
"""Train a translation model whose layers live on several contexts."""
import logging
import time
from pathlib import Path

from mxmp import command, runtime
from mxmp.command import parse_options, save_options, saved_options
from mxmp.tasks.translation.options import FIXED, Options


def main() -> None:
    """Parse flags, prepare the data, train."""
    options = parse_options(Options, FIXED, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.data import prepare  # these load MXNet, which must be configured first
    from mxmp.tasks.placing import choose_contexts
    from mxmp.tasks.progress import start_log
    from mxmp.tasks.translation.assemble import cache_folder, load_corpus
    from mxmp.tasks.translation.training import Training

    contexts = choose_contexts(options.contexts, options.gpus)
    name = f"{options.dataset}-{options.src_lang}-{options.tgt_lang}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path(options.output_dir or Path("runs") / name)
    if saved_options(folder, Options) and not options.resume:
        raise ValueError(f"{folder} holds a training run; go on with --resume, or choose another --output_dir")
    folder.mkdir(parents=True, exist_ok=True)
    start_log(folder)
    log = logging.getLogger("mxmp")
    log.info("run folder %s, runtime %s", folder, runtime.report())
    prepared = prepare(load_corpus(options), options.vocab_size, not options.separate_vocab, options.max_length,
                       cache_folder(options))
    training = Training(options, prepared, contexts, folder)
    if options.resume:
        training.resume()
    for change in save_options(folder, training.options):
        log.info("resuming: %s", change)
    training.run()


if __name__ == "__main__":
    command.run(main, interrupted="interrupted; go on with --resume")
