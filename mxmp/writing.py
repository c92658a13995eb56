"""Files that appear whole or not at all."""
from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield another name in the folder of ``path`` to write to, which becomes ``path`` when the block ends.

    A process that dies, or another one that reads, sees the old file or all of the new one. A block that fails leaves
    nothing of its own.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
