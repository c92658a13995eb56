"""Checkpoints: folders that are complete or not there at all."""
from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
import shutil
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import mxnet as mx

from .. import records
from ..pipeline import Pipeline, Trainer
from ..pipeline.parameters import nonfinite_parameters
from ..planning import Plan
from ..writing import flush, write_aside
from . import manifest

FILE = "checkpoint.json"
"""Name of the file in a checkpoint that says what it is of."""

_ASIDE = ".mxmp-partial-"  # with eight digits behind it the name of what is being filled or removed
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Description:
    """What a ``checkpoint.json`` holds: the ``model``'s sizes, the run's ``options``, and how far it was."""

    model: Dict[str, Any]
    options: Dict[str, Any]
    fingerprint: str  # of the data
    progress: Dict[str, Any]


def save(run: Path, kind: str, step: int, pipe: Pipeline, trainer: Trainer, described: Description,
         task: Any) -> Path:
    """Write ``run/KIND-STEP``, the run's "latest" or "best" checkpoint, and return it; waits for the devices.

    It holds the parameters as ``model.params``, the trainer's states as ``optimizer.params``, what is ``described`` as
    ``checkpoint.json``, what ``task.save(folder)`` writes, and a manifest of all these. The folder is filled under
    another name, flushed to the disk, renamed and read once more, and only then are those before it moved out of the
    way and removed: whenever the process dies, a complete checkpoint is there. One that somebody reads from is left for
    the next time. Only the one process that trains in ``run`` may call this.
    """
    run.mkdir(parents=True, exist_ok=True)
    for path in run.iterdir():
        if re.fullmatch(re.escape(_ASIDE) + "[0-9a-f]{8}", path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)  # of a process that died
    final, again = run / f"{kind}-{step:08d}", 0
    while os.path.lexists(final):  # the same step once more: beside the older one, never in its place
        again += 1
        final = run / f"{kind}-{step:08d}-{again}"
    with _aside(run) as partial:
        pipe.save_parameters(str(partial / "model.params"))
        trainer.save_states(str(partial / "optimizer.params"))
        task.save(partial)
        with write_aside(partial / FILE) as file:
            file.write_text(records.to_text(vars(described)), encoding="utf-8")
        manifest.write(partial)
        for path in (*partial.iterdir(), partial):
            flush(path)
        partial.rename(final)
    flush(run)
    fault = manifest.fault(final)
    if fault:
        raise RuntimeError(f"the checkpoint {final} was not written well: {fault}; the one before it is kept")
    for old in _of_kind(run, kind):
        if old != final:
            _remove(old)
    return final


@contextmanager
def newest(folder: Path, *kinds: str) -> Iterator[Optional[Path]]:
    """The newest whole checkpoint in a run's ``folder``, or None if there is none; of a checkpoint itself.

    One of the first of ``kinds`` is preferred to one of the next. All its files are read. Those before it that are
    damaged are named in one line of the log, or in the ValueError if no other is left. A run that goes on meanwhile
    does not remove what is read from within the ``with``.
    """
    faults: Dict[Path, str] = {}
    while True:
        for checkpoint in [path for path in _candidates(folder, kinds) if path not in faults]:
            with _in_use(checkpoint):
                fault = manifest.fault(checkpoint)
                if fault is None:
                    if faults:
                        _log.warning("%s; using %s", "; ".join(faults.values()), checkpoint)
                    yield checkpoint
                    return
            if not checkpoint.exists():
                break  # a newer one has taken its place
            faults[checkpoint] = f"cannot read the checkpoint {checkpoint}: {fault}"
        else:
            break
    if faults:
        raise ValueError("; ".join(faults.values()))
    yield None


@contextmanager
def best(folder: Path) -> Iterator[Path]:
    """The checkpoint of a run's ``folder`` to use the model of, as of `newest`: the best or, before there is one, the
    latest."""
    with newest(folder, "best", "latest") as checkpoint:
        if checkpoint is None:
            raise ValueError(f"--model {folder} holds no checkpoint; give the folder of a training run")
        yield checkpoint


def is_any(run: Path) -> bool:
    """Whether there is a checkpoint, whole or not, in a run's folder."""
    return bool(_of_kind(run, "latest") or _of_kind(run, "best"))


def read(checkpoint: Path) -> Description:
    """What the ``checkpoint.json`` of a ``checkpoint`` holds."""
    return records.fill(Description, records.read(checkpoint / FILE), checkpoint / FILE)


def sizes(checkpoint: Path, kind: Any) -> Any:
    """The sizes of a checkpoint's model, as the dataclass ``kind`` that such a model is built from."""
    model = read(checkpoint).model
    if set(model) != {field.name for field in fields(kind)}:
        raise ValueError(f"--model {checkpoint} holds a model of another kind; give the folder of a run of the program "
                         "that trains what this one uses")
    return records.fill(kind, model, f"the model of {checkpoint / FILE}")


def options(checkpoint: Path, kind: Any) -> Any:
    """The options of a checkpoint's run, as the dataclass ``kind``."""
    return records.fill(kind, read(checkpoint).options, f"the options of {checkpoint / FILE}")


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
        check_finite(checkpoint, nonfinite_parameters(pipe.parameter_names))


def check_finite(checkpoint: Path, nonfinite: List[str]) -> None:
    """Refuse a ``checkpoint`` in which what is called ``nonfinite`` holds NaN or infinity."""
    if nonfinite:
        raise ValueError(f"{nonfinite[0]} in the checkpoint {checkpoint} is not finite; use another checkpoint")


def _candidates(folder: Path, kinds: Sequence[str]) -> List[Path]:
    """The checkpoints of a run's folder, those of the first kind first; a checkpoint itself."""
    return [folder] if _is_checkpoint(folder) else [path for kind in kinds for path in _of_kind(folder, kind)]


def _of_kind(run: Path, kind: str) -> List[Path]:
    """The checkpoints of a ``kind`` in a run's folder, whole or not, the newest first; no other name, and no link."""
    numbered = []
    for path in run.iterdir() if run.is_dir() else ():
        match = re.fullmatch(kind + "-([0-9]{8,})(?:-([0-9]+))?", path.name)
        if not match or path.is_symlink():
            continue
        if _is_checkpoint(path):
            numbered.append((int(match[1]), int(match[2] or 0), path))
        elif not path.exists():
            return _of_kind(run, kind)  # a newer one has taken its place, which may not be in this list
    return [path for *_, path in sorted(numbered, reverse=True)]


def _is_checkpoint(path: Path) -> bool:
    return (path / FILE).is_file() or (path / manifest.NAME).is_file()


@contextmanager
def _in_use(checkpoint: Path) -> Iterator[None]:
    """Keep a checkpoint from being removed by the run that goes on."""
    with ExitStack() as stack:
        with suppress(OSError):  # it is gone or damaged, or the file system has no locks
            fcntl.flock(stack.enter_context((checkpoint / manifest.NAME).open("rb")), fcntl.LOCK_SH)
        yield


def _remove(checkpoint: Path) -> None:
    """Remove a checkpoint, unless somebody reads from it."""
    with ExitStack() as stack:
        try:
            fcntl.flock(stack.enter_context((checkpoint / manifest.NAME).open("rb")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            pass  # it is damaged, or the file system has no locks
        with _aside(checkpoint.parent) as partial:
            checkpoint.rename(partial)  # so that a death while it is removed leaves nothing that looks complete


@contextmanager
def _aside(run: Path) -> Iterator[Path]:
    """A new folder in a run's, under a name that nothing else has; what is left of it at the end is removed."""
    partial = run / f"{_ASIDE}{secrets.token_hex(4)}"
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
