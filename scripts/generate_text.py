#!/usr/bin/env python3
"""Draw text from a model that train_language_model.py trained; samples are separated by empty lines."""
import argparse
import sys
from pathlib import Path
from typing import Any

from mxmp import command, runtime


def parse_flags() -> argparse.Namespace:
    """The program's flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder of a training run, or of one of its checkpoints")
    parser.add_argument("--prompt", default="", help="what the text begins with (default: the beginning of a sentence)")
    parser.add_argument("--length", type=int, default=50, help="tokens to draw, ends of lines included (default 50)")
    parser.add_argument("--num_samples", type=int, default=1, help="how many texts (default 1)")
    parser.add_argument("--temperature", type=float, default=1.0,
                        help="below 1 likely tokens are preferred, above 1 unlikely ones (default 1.0)")
    parser.add_argument("--top_k", type=int, default=0, help="draw from the k most likely tokens (default 0: all)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other texts (default 0)")
    parser.add_argument("--contexts", default="cpu(0)", help="where the layers live, whatever they were trained on")
    parser.add_argument("--gpus", help="GPU numbers, as \"0,1\"; takes the place of --contexts")
    parser.add_argument("--softmax_contexts", type=int, default=1,
                        help="how many of them, the last ones, share a projection that was split in training, too")
    parser.add_argument("--plan", help="layers per context, as \"3,2\" (default: balanced by computed cost)")
    parser.add_argument("--threads_per_context", type=int, default=1, help="CPU threads of each context (default 1)")
    return parser.parse_args()


def load_generator(flags: argparse.Namespace) -> Any:
    """The model on the contexts that were asked for."""
    from mxmp.tasks import checkpoint
    from mxmp.tasks.language.generator import load_generator
    from mxmp.tasks.language.training import chain_costs
    from mxmp.tasks.placing import choose_contexts, choose_plan, split_contexts

    stages, softmax = split_contexts(choose_contexts(flags.contexts, flags.gpus), flags.softmax_contexts)
    found = checkpoint.find(Path(flags.model), "best", "latest")
    if found is None:
        raise ValueError(f"--model {flags.model} holds no checkpoint; give the folder of a training run")
    return load_generator(found, lambda chain: choose_plan(chain_costs(chain, None), stages, flags.plan), softmax)


def main() -> None:
    """Load, draw, print."""
    flags = parse_flags()
    runtime.configure(flags.threads_per_context)
    generate = load_generator(flags)
    texts = generate(flags.prompt, flags.length, flags.num_samples, flags.temperature, flags.top_k, flags.seed)
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print("\n\n".join(texts))


if __name__ == "__main__":
    command.run(main)
