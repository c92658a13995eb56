"""Measure mxmp on this machine."""
import argparse
import json
from pathlib import Path
from typing import Any, Dict, Tuple

from mxmp import runtime

from .command import run
from .options import Options
from .variants import VARIANTS


def parse_flags() -> argparse.Namespace:
    """The program's flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_pipeline(commands)
    add_simulator(commands)
    add_plans(commands)
    add_softmax(commands)
    return parser.parse_args()


def add_pipeline(commands: Any) -> None:
    """Flags of ``pipeline``."""
    parser = commands.add_parser(
        "pipeline", help="step time and memory of a stack of LSTM layers: plain, as a pipeline, and in PyTorch",
        description="Time forward and backward passes of a stack of LSTM layers, each variant in a process of its own, "
                    "all of them in rounds, one at a time.")
    add = parser.add_argument
    add_common(parser, num_layers=4, hidden_size=512, seq_len=40, warmup_steps=7)
    add("--batch_sizes", type=numbers, default="64,256", help="rows of a batch, one table for each (default 64,256)")
    add("--num_microbatches", type=int, default=8, help="parts that a batch is cut into (default 8)")
    add("--num_chunks", type=int, default=8, help="time chunks of the wavefront variants (default 8)")
    add("--matmul_size", type=int, default=2048,
        help="width of the square matrices whose products measure the machine's peak (default 2048)")
    add("--variants", type=names, help=f"what to measure, by default all of {', '.join(VARIANTS)}; and 'memory', the "
                                       "activations' peak memory for 4 and for 16 micro-batches of 32 rows")
    add("--torch_python", metavar="PATH", help="Python that has PyTorch, for the torch variants (default: this one)")


def add_simulator(commands: Any) -> None:
    """Flags of ``simulator``."""
    parser = commands.add_parser(
        "simulator", help="step times that the simulator predicts from a profile, beside measured ones",
        description="Measure a stack of four LSTM layers in many configurations, in turns, with a profile of its "
                    "layers in each round, and simulate each configuration with that profile.")
    add_common(parser, num_layers=4, hidden_size=512, seq_len=40, warmup_steps=6)
    parser.add_argument("--batch_size", type=int, default=128, help="rows of a batch (default 128)")


def add_plans(commands: Any) -> None:
    """Flags of ``plans``."""
    parser = commands.add_parser(
        "plans", help="neighbouring layers apart, evenly many on each context, or as the planner wants them",
        description="Measure three plans for LSTM layers between an embedding and a projection, in turns.")
    add = parser.add_argument
    add_common(parser, num_layers=8, hidden_size=256, seq_len=32, warmup_steps=6)
    add("--batch_size", type=int, default=64, help="rows of a batch (default 64)")
    add("--vocab_size", type=int, default=8000, help="tokens (default 8000)")
    add("--num_microbatches", type=int, default=4, help="parts that a batch is cut into (default 4)")
    add("--schedule", default="1f1b", choices=("1f1b", "fill_drain"), help="order of each stage's micro-batches")
    add("--picture", metavar="PREFIX", default="", help="beginning of the names of pictures of the plans")


def add_softmax(commands: Any) -> None:
    """Flags of ``softmax``."""
    parser = commands.add_parser(
        "softmax", help="a softmax over a large vocabulary, undivided and split over contexts",
        description="Time projection, loss and gradients on one context and split over up to all of them, in turns; "
                    "and find, in processes of their own, what memory one context's part takes.")
    add_common(parser, hidden_size=512, seq_len=32, warmup_steps=5)
    parser.add_argument("--batch_size", type=int, default=32, help="rows of a batch (default 32)")
    parser.add_argument("--vocab_size", type=int, default=32000, help="tokens (default 32000)")


def add_common(parser: argparse.ArgumentParser, **defaults: int) -> None:
    """Flags that all commands have."""
    add = parser.add_argument
    texts = {"num_layers": "LSTM layers", "hidden_size": "width of input, state and output", "seq_len": "time steps",
             "warmup_steps": "untimed steps or rounds first"}
    add("--contexts", default="cpu(0-1)", help="where the stages live: \"cpu(0-1)\", \"gpu(0-3)\"")
    add("--threads_per_context", type=int, default=1, help="CPU threads of each context (default 1)")
    add("--repeats", type=int, default=5, help="rounds: measurements of each variant (default 5)")
    for name, default in defaults.items():
        add("--" + name, type=int, default=default, help=f"{texts[name]} (default {default})")
    add("--json", metavar="FILE", help="file for all that was measured, and on what")


def names(text: str) -> Tuple[str, ...]:
    """Names separated by commas."""
    return tuple(text.split(","))


def numbers(text: str) -> Tuple[int, ...]:
    """Whole numbers separated by commas."""
    return tuple(int(part) for part in text.split(","))


def compare(name: str, flags: Dict[str, Any], path: str) -> None:
    """Measure in this process, print the table and write all of it."""
    runtime.configure(flags["threads_per_context"])
    from .comparing import compare  # loads MXNet, which must be configured first
    found, table = compare(name, flags)
    print(table)
    if path:
        Path(path).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Parse flags, measure, print."""
    flags = vars(parse_flags())
    command, path = flags.pop("command"), flags.pop("json")
    if command == "pipeline":
        run(Options(**flags), path)
    else:
        compare(command, flags, path)
