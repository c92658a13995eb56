"""The flags that the short example runs share."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional

from ..command import check_at_least, check_positive, flag


@dataclass(frozen=True)
class ShortOptions:
    """Where the layers live and how long to train; each task adds sizes of its own and its own defaults.

    Raises
    ------
    ValueError
        If a value is impossible.
    """

    contexts: str = flag("cpu(0-1)", "where the layers live: \"cpu(0-1)\", \"gpu(0-3)\", \"cpu(1),gpu(0)\"")
    gpus: Optional[str] = flag(None, "GPU numbers, as \"0,1\"; takes the place of --contexts", type=str)
    plan: Optional[str] = flag(None, "layers per context, as \"2,3\" (default: balanced by computed cost)", type=str)
    num_microbatches: int = flag(4, "parts that a batch is cut into")
    schedule: str = flag("1f1b", "order of each stage's micro-batches", choices=("1f1b", "fill_drain"))
    threads_per_context: int = flag(1, "CPU threads of each context")
    hidden_size: int = flag(64, "width of the LSTM layers")
    batch_size: int = flag(64, "rows per step")
    epochs: int = flag(4, "passes over the training data")
    learning_rate: float = flag(1e-2, "Adam's highest rate; it rises for 50 steps, then falls along a cosine to 0")
    seed: int = flag(1, "fixes data, order, initial values and dropout")
    output_dir: Optional[str] = flag(None, "the run's folder (default runs/TASK-TIME)", type=str)

    # Not flags: what longer runs let their users choose.
    warmup_steps, log_interval, save_interval, timeline_step = 50, 50, 1_000_000, 0

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_microbatches", "threads_per_context", "hidden_size", "batch_size", "epochs")
        check_at_least(0, self, "seed")
        check_positive(self, "learning_rate")

    def as_dict(self) -> Dict[str, Any]:
        """All options by name."""
        return asdict(self)
