"""The flags of each command as a dataclass, checked before a framework is loaded; its docstring is for ``--help``."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional, Tuple

from mxmp.command import check_at_least, flag, numbers
from mxmp.writing import write_aside

from .variants import MEMORY, VARIANTS, WAYS, Workload

_NUM_LAYERS, _HIDDEN_SIZE, _SEQ_LEN = "LSTM layers", "width of input, state and output", "time steps"
_WARMUP_STEPS, _BATCH_SIZE = "untimed steps or rounds first", "rows of a batch"
_VOCAB_SIZE, _NUM_MICROBATCHES = "tokens", "parts that a batch is cut into"


def words(text: str) -> Tuple[str, ...]:
    """Names that are separated by commas."""
    return tuple(text.split(","))


@dataclass(frozen=True)
class Options:
    """What all commands ask; every whole number must be at least 1."""

    json: Optional[str] = flag(None, "file for all that was measured, and on what", type=str, metavar="FILE")

    def __post_init__(self) -> None:
        check_at_least(1, self, *(name for name, value in vars(self).items() if isinstance(value, int)))

    @property
    def flags(self) -> Dict[str, Any]:
        """What the results were measured with: all flags but the name of their file."""
        return {name: value for name, value in asdict(self).items() if name != "json"}

    def save(self, results: Dict[str, Any]) -> None:
        """Write the results to the file of ``--json``, if it names one."""
        if self.json:
            with write_aside(self.json) as partial:
                partial.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class TimedOptions(Options):
    """What all commands ask that measure on this machine."""

    contexts: str = flag("cpu(0-1)", "where the stages live: \"cpu(0-1)\", \"gpu(0-3)\"")
    threads_per_context: int = flag(1, "CPU threads of each context")
    repeats: int = flag(5, "rounds: measurements of each variant")
    warmup_steps: int = flag(6, _WARMUP_STEPS)


@dataclass(frozen=True)
class LayerOptions(TimedOptions):
    """What the commands ask that measure layers by themselves."""

    hidden_size: int = flag(512, _HIDDEN_SIZE)
    seq_len: int = flag(40, _SEQ_LEN)


@dataclass(frozen=True)
class PipelineOptions(LayerOptions):
    """Time forward and backward passes of a stack of LSTM layers, each variant in a process of its own, all of them in
    rounds, one at a time."""

    warmup_steps: int = flag(7, _WARMUP_STEPS)
    num_layers: int = flag(4, _NUM_LAYERS)
    batch_sizes: Tuple[int, ...] = flag("64,256", f"{_BATCH_SIZE}, one table for each", type=numbers)
    num_microbatches: int = flag(8, _NUM_MICROBATCHES)
    num_chunks: int = flag(8, "time chunks of the wavefront variants")
    stages_per_context: int = flag(2, "stages that each context has by turns in the interleaved variant")
    matmul_size: int = flag(2048, "width of the square matrices whose products measure the machine's peak")
    variants: Optional[Tuple[str, ...]] = flag(
        None, f"what to measure, by default all of {', '.join(VARIANTS)}; and 'memory', the activations' peak memory "
              "for 4 and for 16 micro-batches of 32 rows", type=words)
    torch_python: Optional[str] = flag(
        None, "Python that has PyTorch, for the torch variants (default: this one)", type=str, metavar="PATH")

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.batch_sizes) < 1:
            raise ValueError(f"--batch_sizes must be at least 1, got {self.batch_sizes}")
        for batch_size in self.batch_sizes:
            self.workload(batch_size, self.num_microbatches)
        unknown = [name for name in self.variants or () if name not in (*VARIANTS, MEMORY)]
        if unknown:
            raise ValueError(f"--variants names {', '.join(map(repr, unknown))}; choose from "
                             f"{', '.join([*VARIANTS, MEMORY])}")

    @property
    def selected(self) -> List[str]:
        """The names asked for, each once, in the table's order, `MEMORY` last; by default all but that."""
        return list(VARIANTS) if self.variants is None else [n for n in (*VARIANTS, MEMORY) if n in self.variants]

    def workload(self, batch_size: int, num_microbatches: int) -> Workload:
        """The step for a batch of ``batch_size`` rows, cut into ``num_microbatches``."""
        return Workload(batch_size, self.seq_len, self.num_layers, self.hidden_size, num_microbatches,
                        self.num_chunks, self.stages_per_context)


@dataclass(frozen=True)
class SimulatorOptions(LayerOptions):
    """Measure a stack of four LSTM layers in many configurations, in turns, with a profile of its layers in each round,
    and simulate each configuration with that profile."""

    num_layers: int = flag(4, _NUM_LAYERS)
    batch_size: int = flag(128, _BATCH_SIZE)


@dataclass(frozen=True)
class PlansOptions(LayerOptions):
    """Measure three plans for LSTM layers between an embedding and a projection, in turns."""

    hidden_size: int = flag(256, _HIDDEN_SIZE)
    seq_len: int = flag(32, _SEQ_LEN)
    num_layers: int = flag(8, _NUM_LAYERS)
    batch_size: int = flag(64, _BATCH_SIZE)
    vocab_size: int = flag(8000, _VOCAB_SIZE)
    num_microbatches: int = flag(4, _NUM_MICROBATCHES)
    schedule: str = flag("1f1b", "order of each stage's micro-batches", choices=("1f1b", "fill_drain"))
    picture: Optional[str] = flag(None, "beginning of the names of pictures of the plans", type=str, metavar="PREFIX")


@dataclass(frozen=True)
class SoftmaxOptions(LayerOptions):
    """Time projection, loss and gradients on one context and split over up to all of them, in turns; and find, in
    processes of their own, what memory one context's part takes."""

    seq_len: int = flag(32, _SEQ_LEN)
    warmup_steps: int = flag(5, _WARMUP_STEPS)
    batch_size: int = flag(32, _BATCH_SIZE)
    vocab_size: int = flag(32000, _VOCAB_SIZE)


@dataclass(frozen=True)
class TrainingOptions(TimedOptions):
    """Time whole training steps of the translation model, as scripts/train_translation.py does them and in plain Gluon,
    each way in a process of its own, all of them in rounds, one at a time."""

    warmup_steps: int = flag(6, "untimed steps first")
    steps: int = flag(12, "steps of a measurement, which do not wait for each other")
    dataset: str = flag("multi30k", "what to train on, with its model's sizes", choices=("numbers", "multi30k"))
    data_dir: Optional[str] = flag(None, "folder with multi30k's files; without it they are downloaded", type=str)
    batch_size: int = flag(64, _BATCH_SIZE)
    num_microbatches: int = flag(4, _NUM_MICROBATCHES)
    ways: Optional[Tuple[str, ...]] = flag(None, f"what to measure, by default all of {', '.join(WAYS)}", type=words)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.ways or () if name not in WAYS]
        if unknown:
            raise ValueError(f"--ways names {', '.join(map(repr, unknown))}; choose from {', '.join(WAYS)}")

    @property
    def selected(self) -> List[str]:
        """The names asked for, each once, in the table's order."""
        return [name for name in WAYS if name in (self.ways or WAYS)]


@dataclass(frozen=True)
class PublishedOptions(Options):
    """Cut and simulate two translation models by profiles that others published of them, layer by layer on V100 boards;
    nothing is measured."""

    contexts: Tuple[int, ...] = flag("2,4,8", "numbers of contexts", type=numbers)
    num_microbatches: Tuple[int, ...] = flag("8,32", "numbers of micro-batches, each as large as the profiles' batch",
                                             type=numbers)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, self, "contexts", "num_microbatches")
