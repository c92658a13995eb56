"""Measure mxmp on this machine."""
from __future__ import annotations

from typing import Any, Dict, Tuple, Type

from mxmp import runtime
from mxmp.command import Parser, add_flags
from mxmp.writing import check_writable

from .options import (
    Options,
    PipelineOptions,
    PlansOptions,
    PublishedOptions,
    SimulatorOptions,
    SoftmaxOptions,
    TrainingOptions,
)

COMMANDS: Dict[str, Tuple[Type[Options], str]] = {
    "pipeline": (PipelineOptions,
                 "step time and memory of a stack of LSTM layers: plain, as a pipeline, and in PyTorch"),
    "simulator": (SimulatorOptions, "step times that the simulator predicts from a profile, beside measured ones"),
    "plans": (PlansOptions, "neighbouring layers apart, evenly many on each context, or as the planner wants them"),
    "softmax": (SoftmaxOptions, "a softmax over a large vocabulary, undivided and split over contexts"),
    "training": (TrainingOptions, "tokens a second in training the translation model, by schedule and in plain Gluon"),
    "published": (PublishedOptions, "what planner and simulator make of profiles that others published")}
"""Each command's options, whose docstring is its description, and what it measures in a line."""


def parse_flags() -> Tuple[str, Options]:
    """The command's name and its options."""
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (kind, summary) in COMMANDS.items():
        add_flags(commands.add_parser(name, help=summary, description=kind.__doc__), kind)
    flags = vars(parser.parse_args())
    name = flags.pop("command")
    return name, COMMANDS[name][0](**flags)


def main() -> None:
    """Parse flags, measure, print."""
    name, options = parse_flags()
    if options.json:
        check_writable(options.json)  # better now than after an hour
    if isinstance(options, PipelineOptions):
        from . import pipeline  # needs no framework
        pipeline.run(options)
    elif isinstance(options, PublishedOptions):
        predict(options)
    else:
        compare(name, options)


def predict(options: PublishedOptions) -> None:
    """Simulate with published profiles, print the table and save all of it."""
    runtime.configure()
    from . import published  # it loads MXNet, which must be configured first

    rows = published.compare(options)
    print(published.table(rows))
    options.save({"flags": options.flags, "rows": rows})


def compare(name: str, options: Any) -> None:
    """Measure all but ``pipeline``, in this process or started by it, print the table and save all of it."""
    runtime.configure(options.threads_per_context)
    import mxnet as mx  # which must be configured first

    from . import plans, simulator, softmax, training
    command = {"simulator": simulator, "plans": plans, "softmax": softmax, "training": training}[name]
    rows = command.compare(options)
    machine = {**runtime.machine(), "mxnet": mx.__version__, **runtime.report()}
    print(f"{_heading(machine, options)}\n\n{command.table(rows)}")
    options.save({"machine": machine, "flags": options.flags, "rows": rows})


def _heading(machine: Dict[str, Any], options: Any) -> str:
    """Machine and flags."""
    if isinstance(options, TrainingOptions):
        work = f"{options.dataset}, {options.num_microbatches} micro-batches, {options.steps} steps a measurement"
    elif isinstance(options, SoftmaxOptions):
        work = f"{options.vocab_size} tokens, inputs of {options.hidden_size}, {options.seq_len} steps"
    else:
        work = f"{options.num_layers} LSTM layers of {options.hidden_size}, {options.seq_len} steps"
    return (f"{machine['cores']} cores of {machine['cpu']}; MXNet {machine['mxnet']}, Python {machine['python']}; "
            f"{machine['date']}\n{work}, {options.batch_size} rows; contexts "
            f"{options.contexts} with {options.threads_per_context} threads each; medians of {options.repeats} rounds")
