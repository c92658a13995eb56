#!/usr/bin/env python3
"""Draw text from a model that train_language_model.py trained; samples are separated by empty lines."""
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from mxmp import command, runtime
from mxmp.command import flag


@dataclass(frozen=True)
class Options:
    """The program's flags."""

    model: str = flag("", "folder of a training run, or of one of its checkpoints", required=True)
    prompt: str = flag("", "what the text begins with (default: the beginning of a sentence)")
    length: int = flag(50, "tokens to draw, ends of lines included")
    num_samples: int = flag(1, "how many texts")
    temperature: float = flag(1.0, "below 1 likely tokens are preferred, above 1 unlikely ones")
    top_k: int = flag(0, "draw from the k most likely tokens, or with 0 from all")
    seed: int = flag(0, "another seed draws other texts")
    contexts: str = flag("cpu(0)", "where the layers live, whatever they were trained on")
    gpus: Optional[str] = flag(None, "GPU numbers, as \"0,1\"; takes the place of --contexts", type=str)
    softmax_contexts: int = flag(1, "how many of them, the last ones, share a projection that was split in training, "
                                    "too")
    plan: Optional[str] = flag(None, "layers per context, as \"3,2\" (default: balanced by computed cost)", type=str)
    threads_per_context: int = flag(1, "CPU threads of each context")

    def __post_init__(self) -> None:
        command.check_utf8(self, "model", "prompt")


def main() -> None:
    """Load, draw, print."""
    options = command.parse_flags(Options, __doc__)
    runtime.configure(options.threads_per_context)

    from mxmp.tasks.language.generator import load  # these load MXNet, which must be configured first
    from mxmp.tasks.placing import choose_contexts

    contexts = choose_contexts(options.contexts, options.gpus)
    generate = load(Path(options.model), contexts, options.plan, options.softmax_contexts)
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    texts: List[List[int]] = []
    try:
        for drawn in generate.grow(options.prompt, options.length, options.num_samples, options.temperature,
                                   options.top_k, options.seed):
            texts = drawn
    finally:  # Ctrl-C, too, leaves what was drawn
        if texts:
            print("\n\n".join(map(generate.decode, texts)))


if __name__ == "__main__":
    command.run(main)
