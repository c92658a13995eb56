#!/usr/bin/env python3
"""Measure mxmp on this machine."""
import argparse
from typing import Tuple

from mxmp import program
from mxmp.benchmark import VARIANTS, Options
from mxmp.benchmark.command import run


def parse_flags() -> argparse.Namespace:
    """The program's flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    pipeline = commands.add_parser(
        "pipeline", help="step time and memory of a stack of LSTM layers: plain, as a pipeline, and in PyTorch",
        description="Time forward and backward passes of a stack of LSTM layers, each variant in a process of its own, "
                    "all of them in rounds, one at a time.")
    add = pipeline.add_argument
    add("--contexts", default="cpu(0-1)", help="where the stages live: \"cpu(0-1)\", \"gpu(0-3)\"")
    add("--threads_per_context", type=int, default=1, help="CPU threads of each context (default 1)")
    add("--batch_sizes", type=numbers, default="64,256", help="rows of a batch, one table for each (default 64,256)")
    add("--num_layers", type=int, default=4, help="LSTM layers (default 4)")
    add("--hidden_size", type=int, default=512, help="width of input, state and output (default 512)")
    add("--seq_len", type=int, default=40, help="time steps (default 40)")
    add("--num_microbatches", type=int, default=8, help="parts that a batch is cut into (default 8)")
    add("--num_chunks", type=int, default=8, help="time chunks of the wavefront variants (default 8)")
    add("--repeats", type=int, default=5, help="rounds: measurements of each variant (default 5)")
    add("--warmup_steps", type=int, default=7, help="untimed steps before each timed one (default 7)")
    add("--matmul_size", type=int, default=2048,
        help="width of the square matrices whose products measure the machine's peak (default 2048)")
    add("--variants", type=names, help=f"what to measure, by default all of {', '.join(VARIANTS)}; and 'memory', the "
                                       "activations' peak memory for 4 and for 16 micro-batches of 32 rows")
    add("--torch_python", metavar="PATH", help="Python that has PyTorch, for the torch variants (default: this one)")
    add("--json", metavar="FILE", help="file for all that was measured, and on what")
    return parser.parse_args()


def names(text: str) -> Tuple[str, ...]:
    """Names separated by commas."""
    return tuple(text.split(","))


def numbers(text: str) -> Tuple[int, ...]:
    """Whole numbers separated by commas."""
    return tuple(int(part) for part in text.split(","))


def main() -> None:
    """Parse flags, measure, print."""
    flags = vars(parse_flags())
    del flags["command"]  # there is one
    path = flags.pop("json")
    run(Options(**flags), path)


if __name__ == "__main__":
    program.run(main)
