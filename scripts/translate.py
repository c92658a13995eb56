#!/usr/bin/env python3
"""Translate text with a model that train_translation.py trained: one sentence a line in, one out, in order."""
import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, List, TextIO

from mxmp import command, runtime


def parse_flags() -> argparse.Namespace:
    """The program's flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder of a training run, or of one of its checkpoints")
    parser.add_argument("--input", help="text file, plain or .gz, one sentence a line (default: standard input)")
    parser.add_argument("--output", help="file for the translations (default: standard output)")
    parser.add_argument("--contexts", default="cpu(0)", help="where the layers live, whatever they were trained on")
    parser.add_argument("--gpus", help="GPU numbers, as \"0,1\"; takes the place of --contexts")
    parser.add_argument("--plan", help="layers per context, as \"4,5\" (default: balanced by computed cost)")
    parser.add_argument("--threads_per_context", type=int, default=1, help="CPU threads of each context (default 1)")
    parser.add_argument("--beam_size", type=int, default=4, help="translations kept while searching (default 4)")
    parser.add_argument("--lp_alpha", type=float, default=1.5, help="strength of length normalisation (default 1.5)")
    parser.add_argument("--max_length", type=int, default=100, help="longest translation in subwords (default 100)")
    parser.add_argument("--nbest", type=int, default=1,
                        help="translations per sentence; above 1 each line is NUMBER, SCORE, TEXT, tab-separated")
    parser.add_argument("--batch_size", type=int, default=64, help="sentences per batch (default 64)")
    flags = parser.parse_args()
    if not 1 <= flags.nbest <= flags.beam_size:
        raise ValueError(f"--nbest must be from 1 to --beam_size ({flags.beam_size}), got {flags.nbest}")
    return flags


def load_translator(flags: argparse.Namespace) -> Any:
    """The model on the contexts that were asked for."""
    from mxmp.tasks import checkpoint
    from mxmp.tasks.placing import choose_contexts, choose_plan
    from mxmp.tasks.translation.assemble import chain_costs
    from mxmp.tasks.translation.trained import load_trained
    from mxmp.tasks.translation.translator import Translator

    contexts = choose_contexts(flags.contexts, flags.gpus)
    found = checkpoint.find(Path(flags.model), "best", "latest")
    if found is None:
        raise ValueError(f"--model {flags.model} holds no checkpoint; give the folder of a training run")
    chain, plan, subwords = load_trained(
        found, lambda chain: choose_plan(chain_costs(chain), contexts, flags.plan))
    return Translator(chain, plan, subwords, flags.beam_size, flags.lp_alpha, flags.max_length, flags.batch_size)


def write(results: List[Any], nbest: int, out: TextIO) -> None:
    """One line per sentence or, with nbest above 1, one per translation."""
    for number, hypotheses in enumerate(results):
        for best in hypotheses[:nbest]:
            out.write(f"{best.text}\n" if nbest == 1 else f"{number}\t{best.score:.4f}\t{best.text}\n")


def main() -> None:
    """Load, translate, write."""
    flags = parse_flags()
    runtime.configure(flags.threads_per_context)
    from mxmp.data import decode_lines, read_lines  # loads MXNet, which must be configured first

    translate = load_translator(flags)
    sentences = read_lines(flags.input) if flags.input else decode_lines(sys.stdin.buffer.read(), "standard input")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    with open(flags.output, "w", encoding="utf-8") if flags.output else nullcontext(sys.stdout) as out:
        write(translate(sentences, progress=True), flags.nbest, out)


if __name__ == "__main__":
    command.run(main)
