"""The flags that all training runs share; a task adds its own, and says what it calls things."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

from ..command import check_at_least, check_positive, check_utf8, flag


def check_own_files(options: Any, *names: str) -> None:
    """Refuse ``options`` that name files of one's own, by flags of these ``names``, beside another data set."""
    own = [name for name in names if getattr(options, name) is not None]
    if own and options.dataset != "files":
        raise ValueError(f"--{own[0]} {getattr(options, own[0])} would not be read: --dataset is {options.dataset}; "
                         "leave out one of them")


@dataclass(frozen=True)
class RunOptions:
    """What a training run is asked to do besides its task, and what its folder remembers."""

    contexts: str = flag("cpu(0-1)", "where the layers live: \"cpu(0-1)\", \"gpu(0-3)\", \"cpu(1),gpu(0)\"")
    gpus: Optional[str] = flag(None, "GPU numbers, as \"0,1\"; takes the place of --contexts", type=str)
    plan: Optional[str] = flag(None, "layers per context, as \"3,2\" (default: balanced by computed cost)", type=str)
    num_microbatches: int = flag(4, "parts that a batch is cut into")
    schedule: str = flag("1f1b", "order of each stage's micro-batches",
                         choices=("1f1b", "fill_drain", "interleaved", "continuous"))
    stages_per_context: int = flag(2, "interleaved: stages that each context has by turns")
    recompute: bool = flag(False, "compute activations again in the backward pass, for less memory and more time")
    threads_per_context: int = flag(1, "CPU threads of each context")

    batch_size: int = flag(64, "rows per step")
    epochs: int = flag(5, "passes over the training text")
    learning_rate: float = flag(3e-3, "Adam's highest rate")
    warmup_steps: int = flag(50, "steps in which the rate rises to its highest; a cosine then takes it to 0")
    clip_norm: float = flag(1.0, "largest norm of all gradients together")
    seed: int = flag(1, "fixes data order, initial values and dropout")
    log_interval: int = flag(50, "steps between two readings of the loss")
    save_interval: int = flag(500, "steps between two checkpoints (there is one after each epoch, too)")
    max_bad_steps: int = flag(20, "updates skipped in a row, as loss or gradients are not finite, that end the run")
    stall_timeout: float = flag(1800.0, "seconds after which a step that does not come further ends the run (0: never)")
    fingerprint: int = flag(0, "steps between two hashes of loss, norm and parameters in the log, each of which waits "
                               "(0: none)")
    timeline_step: int = flag(0, "draw when each unit of this step really ran, as timeline.png and .json (0: none)")
    output_dir: Optional[str] = flag(None, "the run's folder", type=str)
    resume: bool = flag(False, "go on from the latest checkpoint in --output_dir")

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_microbatches", "stages_per_context", "threads_per_context", "batch_size", "epochs",
                       "log_interval", "save_interval", "max_bad_steps")
        check_at_least(0, self, "warmup_steps", "seed", "stall_timeout", "fingerprint", "timeline_step")
        check_positive(self, "learning_rate", "clip_norm")
        check_utf8(self, "output_dir")
        if self.resume and not self.output_dir:
            raise ValueError("--resume needs --output_dir, the folder of the run to go on with")

    @property
    def turns(self) -> int:
        """How many stages each context has."""
        return self.stages_per_context if self.schedule == "interleaved" else 1

    @classmethod
    def preset(cls, flags: Dict[str, Any]) -> Dict[str, Any]:
        """The defaults by name that differ from the class's, where the command line has these ``flags``."""
        return {}

    @classmethod
    def resumed(cls, saved: Dict[str, Any], flags: Dict[str, Any]) -> Dict[str, Any]:
        """The ``saved`` options of a run without those that given ``flags`` take the place of: ``--contexts`` that of
        ``--gpus``, and other contexts, or stages on each, that of the plan that was made for the old ones."""
        kept = {**saved, "gpus": None} if "contexts" in flags else dict(saved)
        if kept["plan"] != "auto" and _places({**kept, **flags}) != _places(saved):
            kept["plan"] = None
        return kept


def _places(options: Dict[str, Any]) -> Any:
    """What the stages' contexts depend on."""
    return (options["contexts"], options["gpus"],
            options["schedule"] == "interleaved" and options["stages_per_context"])
