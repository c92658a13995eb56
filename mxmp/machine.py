"""What a figure was measured on."""
from __future__ import annotations

import os
import platform
from datetime import datetime
from pathlib import Path
from typing import Any, Dict


def machine() -> Dict[str, Any]:
    """Processor, cores, memory, operating system, Python and date."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": _cpu_model(), "cores": len(os.sched_getaffinity(0)), "memory_bytes": memory,
            "system": platform.platform(), "python": platform.python_version(),
            "date": datetime.now().astimezone().isoformat(timespec="seconds")}


def _cpu_model() -> str:
    """The processor's name as Linux gives it; platform.processor() has only its architecture."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
