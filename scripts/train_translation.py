#!/usr/bin/env python3
"""Train a translation model whose layers live on several contexts."""
import argparse
import logging
import sys
import time
from pathlib import Path

from mxmp import runtime
from mxmp.translation.options import Options, add_flags


def main() -> None:
    """Parse flags, prepare the data, train."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_flags(parser)
    options = Options(**vars(parser.parse_args())).filled()
    runtime.configure(options.threads_per_context)

    from mxmp.data import default_cache_dir, prepare  # these load MXNet, which must be configured first
    from mxmp.translation.assemble import choose_contexts, load_corpus
    from mxmp.translation.progress import start_log
    from mxmp.translation.training import Training

    contexts = choose_contexts(options.contexts, options.gpus)
    name = f"{options.dataset}-{options.src_lang}-{options.tgt_lang}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path(options.output_dir or Path("runs") / name)
    if folder.is_dir() and any(folder.iterdir()) and not options.resume:
        raise ValueError(f"{folder} holds something already; go on with --resume, or choose another --output_dir")
    folder.mkdir(parents=True, exist_ok=True)
    start_log(folder)
    log = logging.getLogger("mxmp")
    log.info("run folder %s, runtime %s", folder, runtime.report())
    prepared = prepare(load_corpus(options), options.vocab_size, not options.separate_vocab, options.max_length,
                       options.cache_dir or default_cache_dir())
    training = Training(options, prepared, contexts, folder)
    if options.resume:
        training.resume()
    training.run()


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; go on with --resume")
