"""The commands of `scripts/benchmark` that measure in their own process."""
from __future__ import annotations

from typing import Any, Dict, Tuple

import mxnet as mx

from mxmp import runtime
from mxmp.contexts import parse_contexts
from mxmp.runtime import machine

from . import placement, prediction, softmax

_NUMBERS = ("repeats", "warmup_steps", "num_layers", "hidden_size", "seq_len", "batch_size", "vocab_size",
            "num_microbatches")


def compare(name: str, flags: Dict[str, Any]) -> Tuple[Dict[str, Any], str]:
    """Measure "simulator", "plans" or "softmax".

    Returns
    -------
    dict, str
        All that was measured, and on what; the table, with the machine above it.

    Raises
    ------
    ValueError
        If a flag is impossible.
    """
    for key in _NUMBERS:
        if flags.get(key, 1) < 1:
            raise ValueError(f"--{key} must be at least 1, got {flags[key]}")
    contexts = parse_contexts(flags["contexts"])
    if name == "simulator" and (len(contexts) < 2 or flags["num_layers"] != 4):
        raise ValueError("the simulator's configurations are for 4 layers and 2 contexts")
    job = {**flags, "on": "all"}
    kind = {"simulator": prediction, "plans": placement, "softmax": softmax}[name]
    rows = kind.compare(job)
    there = {**machine(), "mxnet": mx.__version__, **runtime.report()}
    what = f"{flags['num_layers']} LSTM layers of {flags['hidden_size']}" if "num_layers" in flags else (
        f"{flags['vocab_size']} tokens, inputs of {flags['hidden_size']}")
    heading = (f"{there['cores']} cores of {there['cpu']}; MXNet {there['mxnet']}, Python {there['python']}; "
               f"{there['date']}\n{what}, {flags['seq_len']} steps, {flags['batch_size']} rows; contexts "
               f"{flags['contexts']} with {flags['threads_per_context']} threads each; medians of {flags['repeats']} "
               "rounds")
    return {"machine": there, "flags": flags, "rows": rows}, f"{heading}\n\n{kind.table(rows)}"
