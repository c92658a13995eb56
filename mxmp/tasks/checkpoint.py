"""Checkpoints: folders that are complete or not there at all."""
from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import mxnet as mx

from ..pipeline import Pipeline, Trainer
from ..planning import Plan


def save(run: Path, kind: str, step: int, pipe: Pipeline, trainer: Trainer, described: Dict[str, Any],
         task: Any) -> Path:
    """Write ``run/KIND-STEP``, the run's "latest" or "best" checkpoint, and return it; waits for the devices.

    It holds the parameters as ``model.params``, the trainer's states as ``optimizer.params``, what is ``described`` as
    ``checkpoint.json``, and what ``task.save(folder)`` writes. The folder is filled under another name, flushed to the
    disk and renamed, and only then is the one before it moved out of the way and removed: whenever the process dies, a
    complete checkpoint is there.
    """
    final, partial, again = run / f"{kind}-{step:08d}", run / "partial", 0
    while final.exists():  # the same step once more: beside the older one, never in its place
        again += 1
        final = run / f"{kind}-{step:08d}-{again}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pipe.save_parameters(str(partial / "model.params"))
    trainer.save_states(str(partial / "optimizer.params"))
    task.save(partial)
    (partial / "checkpoint.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    for path in (*partial.iterdir(), partial):
        _flush(path)
    partial.rename(final)
    _flush(run)
    for old in run.glob(f"{kind}-*"):
        if old != final:
            old.rename(partial)  # so that a death while it is removed leaves nothing that looks complete
            shutil.rmtree(partial)
    return final


def find(folder: Path, *kinds: str) -> Optional[Path]:
    """The newest checkpoint of the first of ``kinds`` that a run's ``folder`` has, or None; of a checkpoint itself."""
    if (folder / "checkpoint.json").is_file():
        return folder
    for kind in kinds:
        checkpoints = [path.parent for path in folder.glob(f"{kind}-*/checkpoint.json")]
        if checkpoints:
            return max(checkpoints, key=lambda path: path.name)
    return None


def best(folder: Path) -> Path:
    """The checkpoint of a run's ``folder`` to use the model of: the best or, before there is one, the latest."""
    checkpoint = find(folder, "best", "latest")
    if checkpoint is None:
        raise ValueError(f"--model {folder} holds no checkpoint; give the folder of a training run")
    return checkpoint


def read(checkpoint: Path) -> Dict[str, Any]:
    """What the ``checkpoint.json`` of a ``checkpoint`` holds."""
    try:
        described = json.loads((checkpoint / "checkpoint.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read the checkpoint {checkpoint}: {error}") from error
    if not isinstance(described, dict) or "model" not in described:
        raise ValueError(f"cannot read the checkpoint {checkpoint}: its checkpoint.json describes no model")
    return described


def sizes(checkpoint: Path, kind: Any) -> Any:
    """The sizes of a checkpoint's model, as the dataclass ``kind`` that such a model is built from."""
    try:
        return kind(**read(checkpoint)["model"])
    except TypeError as error:
        raise ValueError(f"--model {checkpoint} holds a model of another kind; give the folder of a run of the program "
                         "that trains what this one uses") from error


def check_vocabulary(checkpoint: Path, saved: List[str], learned: List[str]) -> None:
    """Refuse to go on from a ``checkpoint`` whose ``saved`` tokens are not those that are now ``learned``, in order."""
    if saved != learned:
        raise ValueError(f"the vocabulary of {checkpoint} is not the one that is learned from its text now; resume "
                         "with the versions of mxmp and sentencepiece that began the run, or begin another")


@contextmanager
def reading(checkpoint: Path) -> Iterator[None]:
    """Name a ``checkpoint`` in which MXNet finds a file damaged or not at all."""
    try:
        yield
    except mx.MXNetError as error:
        raise ValueError(f"cannot read the checkpoint {checkpoint}: {str(error).splitlines()[-1]}") from error


def load_chain(checkpoint: Path, chain: Any, plan: Plan, loss: Any = None) -> None:
    """Give a chain, and a loss that has any, the parameters of a checkpoint, each on its own context.

    The plan may differ from the run's; the sizes are those that the checkpoint names.
    """
    with Pipeline(chain, plan, loss) as pipe, reading(checkpoint):
        pipe.load_parameters(str(checkpoint / "model.params"))


def _flush(path: Path) -> None:
    """Bring a file's or folder's data to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
