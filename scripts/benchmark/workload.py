"""What is timed: one training step, without optimizer, of a stack of equal LSTM layers."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """A stack of LSTM layers, its batch of standard normal numbers, and how the batch is cut.

    One step is the forward pass of all layers, the loss ``0.5 * sum(out ** 2)`` and the gradients of all parameters;
    ``num_microbatches`` and ``num_chunks`` are for variants that cut the batch or its steps.
    """

    batch_size: int
    seq_len: int
    num_layers: int
    hidden_size: int
    num_microbatches: int
    num_chunks: int

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
