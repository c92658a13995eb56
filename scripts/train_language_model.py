#!/usr/bin/env python3
"""Train a language model whose layers live on several contexts, and compare it with n-gram models."""
from mxmp import command, runtime
from mxmp.tasks.language.options import FIXED, Options


def main() -> None:
    """Parse flags, prepare the text, train."""
    options = command.parse_options(Options, FIXED, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.tasks.folder import open_folder
    from mxmp.tasks.language.task import Language, load_corpus  # these load MXNet, which must be configured first
    from mxmp.tasks.language.vocabulary import encode
    from mxmp.tasks.placing import choose_contexts
    from mxmp.tasks.run import Run

    contexts = choose_contexts(options.contexts, options.gpus)
    text = load_corpus(options)
    folder = open_folder(options, f"lm-{options.dataset}")
    task = Language(options, encode(text, options), contexts)
    Run(task, options, task.pipe, task.trainer, folder).train()


if __name__ == "__main__":
    command.run(main)
