"""What is timed: one training step, without optimizer, of a stack of equal LSTM layers; and the ways to do it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional


@dataclass(frozen=True)
class Workload:
    """A stack of LSTM layers, its batch of standard normal numbers, and how the batch is cut.

    One step is the forward pass of all layers, the loss ``0.5 * sum(out ** 2)`` and the gradients of all parameters;
    ``num_microbatches`` and ``num_chunks`` are for variants that cut the batch or its steps, ``stages_per_context`` for
    the interleaved one.
    """

    batch_size: int
    seq_len: int
    num_layers: int
    hidden_size: int
    num_microbatches: int
    num_chunks: int
    stages_per_context: int = 2

    def __post_init__(self) -> None:
        if self.batch_size % self.num_microbatches:
            raise ValueError(f"a batch of {self.batch_size} rows cannot be cut into {self.num_microbatches} equal "
                             "micro-batches; choose --batch_sizes that are multiples of --num_microbatches")
        if self.seq_len < self.num_chunks:
            raise ValueError(f"--seq_len {self.seq_len} cannot be cut into {self.num_chunks} time chunks; "
                             "choose fewer --num_chunks")

    @property
    def batch_bytes(self) -> int:
        """Bytes of one batch in float32."""
        return 4 * self.batch_size * self.seq_len * self.hidden_size

    @property
    def flops(self) -> int:
        """FLOPs of one step: those of the forward pass three times, as the backward pass costs two of it.

        A layer multiplies its input and its state, H numbers each, by the 4 H columns of its gates at every position.
        """
        positions, columns = self.seq_len * self.batch_size, 4 * self.hidden_size
        return 3 * self.num_layers * 2 * positions * columns * (self.hidden_size + self.hidden_size)


@dataclass(frozen=True)
class Variant:
    """One way to do the step.

    ``work`` is what its worker builds: a key of ``WORKS`` in `steps`, or of the same in `torch_worker`. It works ``on``
    "one" context, on one with the "threads" of all, or on "all" contexts. The ``reference`` does the same work without
    this one's gain, for the speed-up. ``microbatches`` and ``chunks`` say whether the batch and its time are cut,
    ``recompute`` whether activations are computed again rather than kept, and ``steps`` how many steps, which follow
    each other without waiting, are measured at once.
    """

    name: str
    work: str
    on: str = "one"
    reference: Optional[str] = None
    schedule: Optional[str] = None
    microbatches: bool = False
    chunks: bool = False
    recompute: bool = False
    steps: int = 1

    @property
    def is_torch(self) -> bool:
        """Whether PyTorch's worker runs it."""
        return self.name.startswith("torch_")


MATMUL = Variant("matmul", "matmul")
MATMUL_ALL = Variant("matmul_all", "matmul", on="all")
MEMORY = "memory"  # not a variant of the step: another measurement, which --variants selects as well

VARIANTS = {variant.name: variant for variant in [
    Variant("plain", "plain"),
    Variant("plain_microbatches", "plain_microbatches", microbatches=True),
    Variant("gluon_lstm", "gluon_lstm"),
    Variant("one_stage", "pipeline", "one", "plain_microbatches", "1f1b", microbatches=True),
    Variant("one_stage_wavefront", "pipeline", "one", "plain", "wavefront", chunks=True),
    Variant("fill_drain", "pipeline", "all", "one_stage", "fill_drain", microbatches=True),
    Variant("1f1b", "pipeline", "all", "one_stage", "1f1b", microbatches=True),
    Variant("interleaved", "pipeline", "all", "one_stage", "interleaved", microbatches=True),
    Variant("continuous", "pipeline", "all", "one_stage", "continuous", microbatches=True, steps=24),
    Variant("wavefront", "pipeline", "all", "one_stage_wavefront", "wavefront", chunks=True),
    Variant("fill_drain_recompute", "pipeline", "all", "one_stage", "fill_drain", microbatches=True, recompute=True),
    Variant("1f1b_recompute", "pipeline", "all", "one_stage", "1f1b", microbatches=True, recompute=True),
    Variant("wavefront_recompute", "pipeline", "all", "one_stage_wavefront", "wavefront", chunks=True, recompute=True),
    Variant("one_thread", "one_thread", "all", "one_stage", "1f1b", microbatches=True),
    Variant("two_threads", "plain", "threads"),
    Variant("torch_1", "plain"),
    Variant("torch_2", "plain", "threads"),
    Variant("torch_1_microbatches", "plain_microbatches", microbatches=True),
    Variant("torch_gpipe", "pipeline", "all", "torch_1_microbatches", "gpipe", microbatches=True),
    Variant("torch_1f1b", "pipeline", "all", "torch_1_microbatches", "1f1b", microbatches=True),
]}
"""All variants of the step by name, in the table's order."""


class Way(NamedTuple):
    """One way to train the translation model: ``work`` is a key of ``WORKS`` in `training_worker`; it works ``on`` what
    a `Variant` does, with a ``share`` of the micro-batches that were asked for, but at least one."""

    work: str
    on: str = "one"
    schedule: str = "1f1b"
    share: float = 1


WAYS = {
    "plain": Way("plain", share=0), "plain_microbatches": Way("plain"), "one_stage": Way("pipeline"),
    "two_threads": Way("plain", "threads", share=0), "fill_drain": Way("pipeline", "all", "fill_drain"),
    "1f1b": Way("pipeline", "all"), "interleaved": Way("pipeline", "all", "interleaved"),
    "continuous": Way("pipeline", "all", "continuous"),
    "continuous_halved": Way("pipeline", "all", "continuous", 0.5)}
"""All ways to train by name, in the table's order; the last one with half as many micro-batches."""
