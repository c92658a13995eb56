#!/usr/bin/env python3
"""Train a translation model whose layers live on several contexts."""
from mxmp import command, runtime
from mxmp.tasks.translation.options import FIXED, Options


def main() -> None:
    """Parse flags, prepare the data, train."""
    options = command.parse_options(Options, FIXED, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.data import prepare  # these load MXNet, which must be configured first
    from mxmp.tasks.folder import open_folder
    from mxmp.tasks.placing import choose_contexts
    from mxmp.tasks.run import Run
    from mxmp.tasks.translation.task import Translation, cache_folder, load_corpus

    contexts = choose_contexts(options.contexts, options.gpus)
    corpus = load_corpus(options)
    folder = open_folder(options, f"{options.dataset}-{options.src_lang}-{options.tgt_lang}")
    prepared = prepare(corpus, options.vocab_size, not options.separate_vocab, options.max_length,
                       cache_folder(options))
    task = Translation(options, prepared, contexts, folder)
    Run(task, task.options, task.pipe, task.trainer, folder).train()


if __name__ == "__main__":
    command.run(main)
