#!/usr/bin/env python3
"""Plan which layers of a model live on which context, and predict what it would bring; no GPU is needed."""
import argparse
from typing import Tuple

from mxmp import command, runtime
from mxmp.sizes import parse_bytes

SCHEDULES = ("1f1b", "fill_drain", "wavefront")


def parse_flags() -> argparse.Namespace:
    """The program's flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--model", default="translation", choices=("translation", "language_model"), help="what to plan for")
    add("--encoder_layers", type=int, default=4, help="translation: LSTM layers of the encoder")
    add("--decoder_layers", type=int, default=4, help="translation: LSTM layers of the decoder")
    add("--num_layers", type=int, default=4, help="language_model: LSTM layers")
    add("--softmax_contexts", type=int, default=1,
        help="language_model: contexts, the last ones, over which the projection to the vocabulary is split")
    add("--vocab_size", type=int, default=32000, help="tokens")
    add("--embed_size", type=int, default=512, help="width of the embeddings")
    add("--hidden_size", type=int, default=1024, help="width of the LSTM layers")
    add("--batch_size", type=int, default=128, help="rows of a batch")
    add("--seq_len", type=int, default=32, help="tokens of a row (of each language)")
    add("--contexts", default="gpu(0-3)", help="where the layers shall live; they need not be there")
    add("--memory_limit", help="what each context can hold, as \"12GB\" or \"11GiB\"")
    add("--schedule", choices=SCHEDULES, help="default: the best of all")
    add("--num_microbatches", type=numbers, default="1,2,4,8,16,32", help="numbers of micro-batches to try")
    add("--num_chunks", type=numbers, default="1", help="language_model: numbers of time chunks to try")
    add("--device", help="figures of the contexts: k40m, p100, v100, a100 or cpu (default: v100, or cpu for cpu(...))")
    add("--link", type=parse_bytes, default="10GB", help="bandwidth between contexts, in bytes a second")
    add("--profile", metavar="FILE", help="measured times that --measure wrote, in the place of --device and the model")
    add("--measure", metavar="FILE", help="measure the model's layers on the contexts, which must be there, first")
    add("--threads_per_context", type=int, default=1, help="CPU threads of each context, for --measure")
    add("--picture", metavar="FILE", default="plan.png", help="the plan as a picture")
    add("--timeline", metavar="FILE", help="the predicted step as a picture")
    return parser.parse_args()


def numbers(text: str) -> Tuple[int, ...]:
    """Whole numbers separated by commas."""
    return tuple(int(part) for part in text.split(","))


def main() -> None:
    """Parse flags, search, print, draw."""
    flags = parse_flags()
    runtime.configure(flags.threads_per_context)

    from mxmp.tasks.planning import Request, plan

    given = {**vars(flags), "memory_limit": parse_bytes(flags.memory_limit) if flags.memory_limit else None}
    del given["threads_per_context"]
    print(plan(Request(**given)))


if __name__ == "__main__":
    command.run(main)
