"""What has to be set before MXNet loads: threads per context and the allocator.

This module imports nothing of MXNet, so a program can do, as its first lines:

    from mxmp import runtime
    runtime.configure(threads_per_context=1)
"""
from __future__ import annotations

import ctypes
import os
import platform
import sys
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any, Dict

# mallopt's parameters (glibc, malloc.h) and what stops it from giving every large buffer back to the system:
# without them each operator's output is mapped, zeroed and unmapped anew. -1 turns trimming off.
_MALLOPT = {"M_ARENA_MAX": (-8, 1), "M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, -1), "M_TOP_PAD": (-2, 64 << 20)}
_MOST_THREADS = 1024  # more than cores: the process would end without a word where the system gives it no more
_SYSTEM_DEFAULT, _KEEPS = "system default", "glibc, keeps its memory"
_state: Dict[str, Any] = {"allocator": _SYSTEM_DEFAULT, "configured": False, "advised": False}


def configure(threads_per_context: int = 1) -> Dict[str, Any]:
    """Set threads and allocator for a program that runs several CPU contexts at once.

    Parameters
    ----------
    threads_per_context : int, default 1
        Becomes ``OMP_NUM_THREADS``: every context's worker has as many threads. Contexts times threads should
        not exceed the cores. With more than one, OpenBLAS calls (``nd.dot``) on two CPU contexts at once can
        hang.

    Returns
    -------
    dict
        What is in force, as `report` gives it.

    Raises
    ------
    RuntimeError
        If MXNet is already loaded: it reads its threads once.
    ValueError
        If ``threads_per_context`` is below 1 or above 1024.
    """
    if threads_per_context < 1:
        raise ValueError(f"threads_per_context must be at least 1, got {threads_per_context}")
    if threads_per_context > _MOST_THREADS:
        raise ValueError(f"threads_per_context must be at most {_MOST_THREADS}, got {threads_per_context}")
    if "mxnet" in sys.modules:
        raise RuntimeError("MXNet is already loaded and has read its settings; call mxmp.runtime.configure() "
                           "before the first import of mxnet, gluonnlp or another part of mxmp")
    os.environ["OMP_NUM_THREADS"] = str(threads_per_context)
    _state["allocator"] = _KEEPS if _keep_memory() else _SYSTEM_DEFAULT
    _state["configured"] = True
    return report()


def report() -> Dict[str, Any]:
    """What is in force: threads per context (None: MXNet's own choice, all cores), allocator, cores."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return {"threads_per_context": int(threads) if threads.isdigit() else None, "allocator": _state["allocator"],
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}


def machine() -> Dict[str, Any]:
    """What a figure is measured on: processor, cores, memory, operating system, Python and date."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": _cpu_model(), "cores": len(os.sched_getaffinity(0)), "memory_bytes": memory,
            "system": platform.platform(), "python": platform.python_version(),
            "date": datetime.now().astimezone().isoformat(timespec="seconds")}


def advise() -> None:
    """Warn, once in a program that did not call `configure`, of settings that cost speed or risk a hang.

    Changes nothing. The pipeline calls it where it is imported.
    """
    if _state["configured"] or _state["advised"]:
        return
    _state["advised"] = True
    faults = []
    if report()["threads_per_context"] != 1 and report()["cores"] > 1:
        faults.append("OMP_NUM_THREADS is not 1, so that each CPU context takes several threads for itself, and "
                     "nd.dot on two of them at once can hang")
    if not _allocator_chosen():
        faults.append("the allocator gives large buffers back to the system after every operator, which costs "
                     "CPU contexts speed")
    if faults:
        warnings.warn("; ".join(faults) + ". Begin the program with `from mxmp import runtime; "
                      "runtime.configure(threads_per_context=1)`, before the first import of mxnet or of another part "
                      "of mxmp", RuntimeWarning, stacklevel=2)


def _allocator_chosen() -> bool:
    """Whether the environment chose an allocator, or how glibc's behaves."""
    return any(name.startswith("MALLOC_") or name in ("LD_PRELOAD", "GLIBC_TUNABLES") for name in os.environ)


def _keep_memory() -> bool:
    """Ask glibc to keep freed memory; False on systems without glibc's mallopt."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(*setting) == 1 for setting in _MALLOPT.values()])


def _cpu_model() -> str:
    """The processor's name as Linux gives it; platform.processor() has only its architecture."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
