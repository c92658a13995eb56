"""What the examples share: flags, and the reading of a run's meter."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Tuple

from mxmp.command import check_at_least, check_positive, check_utf8, flag

if TYPE_CHECKING:
    from mxmp.tasks.progress import Meter, Progress


@dataclass(frozen=True)
class ExampleOptions:
    """Where the layers live and how long to train; each example adds sizes of its own and its own defaults."""

    contexts: str = flag("cpu(0-1)", "where the layers live: \"cpu(0-1)\", \"gpu(0-3)\", \"cpu(1),gpu(0)\"")
    gpus: Optional[str] = flag(None, "GPU numbers, as \"0,1\"; takes the place of --contexts", type=str)
    plan: Optional[str] = flag(None, "layers per context, as \"2,3\" (default: balanced by computed cost)", type=str)
    num_microbatches: int = flag(4, "parts that a batch is cut into")
    schedule: str = flag("1f1b", "order of each stage's micro-batches", choices=("1f1b", "fill_drain", "continuous"))
    threads_per_context: int = flag(1, "CPU threads of each context")
    hidden_size: int = flag(64, "width of the LSTM layers")
    batch_size: int = flag(64, "rows per step")
    epochs: int = flag(4, "passes over the training data")
    learning_rate: float = flag(1e-2, "Adam's highest rate; it rises for 50 steps, then falls along a cosine to 0")
    seed: int = flag(1, "fixes data, order, initial values and dropout")
    output_dir: Optional[str] = flag(None, "the run's folder (default runs/TASK-TIME)", type=str)

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_microbatches", "threads_per_context", "hidden_size", "batch_size", "epochs")
        check_at_least(0, self, "seed")
        check_positive(self, "learning_rate")
        check_utf8(self, "output_dir")


def read_meter(meter: Meter, progress: Progress, options: ExampleOptions) -> Tuple[float, float, float]:
    """The loss, the gradients' norm and the speed of the meter's steps, which are added to the ``progress``; waits
    for the devices. RuntimeError if loss or norm is not finite."""
    loss, norm, seconds = meter.read()
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise RuntimeError(f"the loss is {loss} and the gradients' norm {norm} at step {progress.step}; lower "
                           f"--learning_rate (now {options.learning_rate}) and choose another --output_dir")
    progress.training_seconds += seconds
    progress.counted += meter.counted
    return loss, norm, meter.counted / seconds
