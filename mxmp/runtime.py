"""What has to be set before MXNet loads: threads per context and the allocator.

This module imports nothing of MXNet, so a program can do, as its first lines::

    from mxmp import runtime
    runtime.configure(threads_per_context=1)
"""
from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Dict

# mallopt's parameters (glibc, malloc.h) and what stops it from giving every large buffer back to the system:
# without them each operator's output is mapped, zeroed and unmapped anew.
_MALLOPT = {"M_ARENA_MAX": (-8, 1), "M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2 ** 31 - 1),
            "M_TOP_PAD": (-2, 64 << 20)}
_report: Dict[str, Any] = {}


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
        If ``threads_per_context`` is below 1.
    """
    if threads_per_context < 1:
        raise ValueError(f"threads_per_context must be at least 1, got {threads_per_context}")
    if "mxnet" in sys.modules:
        raise RuntimeError("MXNet is already loaded and has read its settings; call mxmp.runtime.configure() "
                           "before the first import of mxnet, gluonnlp or another part of mxmp")
    os.environ["OMP_NUM_THREADS"] = str(threads_per_context)
    _report["allocator"] = "glibc, keeps its memory" if _keep_memory() else "system default"
    return report()


def report() -> Dict[str, Any]:
    """What is in force: threads per context (None: MXNet's own choice, all cores), allocator, cores."""
    threads = os.environ.get("OMP_NUM_THREADS")
    return {"threads_per_context": int(threads) if threads and threads.isdigit() else None,
            "allocator": _report.get("allocator", "system default"),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}


def _keep_memory() -> bool:
    """Ask glibc to keep freed memory; False on systems without glibc's mallopt."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(*setting) == 1 for setting in _MALLOPT.values()])
