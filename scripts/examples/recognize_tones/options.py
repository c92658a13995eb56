"""The recognition run's options."""
from __future__ import annotations

from dataclasses import dataclass

from example_run import ExampleOptions

from mxmp.command import check_at_least, flag


@dataclass(frozen=True)
class TonesOptions(ExampleOptions):
    """Sizes of the generated set and of the model besides what all examples have."""

    hidden_size: int = flag(48, "width of each direction of the bidirectional layers; the upper layer has two of it")
    batch_size: int = flag(32, "sounds per step")
    epochs: int = flag(12, "passes over the training data")
    num_sounds: int = flag(3000, "generated sounds to train on; a tenth as many are for validation and for test each")
    num_layers: int = flag(2, "bidirectional LSTM layers")
    beam_size: int = flag(8, "prefixes kept in beam search")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, self, "num_layers", "beam_size")
        check_at_least(10, self, "num_sounds")
