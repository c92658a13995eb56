"""The flags of `scripts/benchmark pipeline`, checked, and the workloads that they ask for."""
from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Tuple

from .variants import select
from .workload import Workload


@dataclass(frozen=True)
class Options:
    """What to measure, on what.

    Parameters
    ----------
    contexts : str
        As `mxmp.parse_contexts` takes it.
    threads_per_context : int
        Of CPU contexts.
    batch_sizes : tuple of int
        Rows of each batch to measure with.
    num_layers : int
        LSTM layers.
    hidden_size : int
        Their width.
    seq_len : int
        Time steps of a batch.
    num_microbatches, num_chunks : int
        Parts of the batch and of its steps, for variants that cut it so.
    repeats : int
        Rounds of measurements.
    warmup_steps : int
        Steps before the first of them.
    matmul_size : int
        Rows and columns of the matrix products that tell the peak.
    variants : tuple of str or None
        Names from `VARIANTS`, or "memory"; None is all variants.
    torch_python : str or None
        A Python that has PyTorch, for its variants.

    Raises
    ------
    ValueError
        If a number is below 1, a batch or its steps cannot be cut, or a variant is unknown.
    """

    contexts: str = "cpu(0-1)"
    threads_per_context: int = 1
    batch_sizes: Tuple[int, ...] = (64, 256)
    num_layers: int = 4
    hidden_size: int = 512
    seq_len: int = 40
    num_microbatches: int = 8
    num_chunks: int = 8
    repeats: int = 5
    warmup_steps: int = 7
    matmul_size: int = 2048
    variants: Optional[Tuple[str, ...]] = None
    torch_python: Optional[str] = None

    def __post_init__(self) -> None:
        for name in ("threads_per_context", "batch_sizes", "num_layers", "hidden_size", "seq_len",
                     "num_microbatches", "num_chunks", "repeats", "warmup_steps", "matmul_size"):
            value = getattr(self, name)
            if min(value if isinstance(value, tuple) else (value,)) < 1:
                raise ValueError(f"--{name} must be at least 1, got {value}")
        for batch_size in self.batch_sizes:
            self.workload(batch_size, self.num_microbatches)
        self.selected  # noqa: B018

    @property
    def selected(self) -> List[str]:
        """The names of what is measured, in the table's order."""
        return select(self.variants)

    def workload(self, batch_size: int, num_microbatches: int) -> Workload:
        """The step for a batch of ``batch_size`` rows, cut into ``num_microbatches``."""
        return Workload(batch_size, self.seq_len, self.num_layers, self.hidden_size, num_microbatches,
                        self.num_chunks)
