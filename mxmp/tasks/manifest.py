"""The manifest of a folder: size and SHA-256 of each of its files, so that none is taken for what it is not."""
from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Optional

from ..writing import write_aside

NAME = "manifest.json"
"""Name of the manifest in the folder that it describes."""

_CHUNK = 1 << 20  # bytes that are read at once


def write(folder: Path) -> None:
    """Describe the files that lie in a ``folder`` now, in its manifest."""
    listed = {path.name: _describe(path) for path in sorted(folder.iterdir()) if path.name != NAME}
    with write_aside(folder / NAME) as file:
        file.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def fault(folder: Path) -> Optional[str]:
    """What is wrong with the files of a ``folder`` that has a manifest, or should; None if nothing is.

    All bytes are read. The first file that is missing, shorter, longer or of other content is named.
    """
    try:
        listed = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{NAME} is missing"
    except OSError as error:
        return f"{NAME} cannot be read ({error.strerror})"
    except (ValueError, RecursionError):
        return f"{NAME} is damaged"
    if not isinstance(listed, dict) or not all(_is_description(value) for value in listed.values()):
        return f"{NAME} is damaged"
    for name, expected in listed.items():
        wrong = _differs(folder / name, expected)
        if wrong:
            return f"{name} {wrong}"
    return None


def _differs(path: Path, expected: Dict[str, Any]) -> Optional[str]:
    """How a file differs from its description."""
    try:
        size = path.stat().st_size
        if size != expected["size"]:
            return f"is {'truncated' if size < expected['size'] else 'too long'}: {size} of {expected['size']} bytes"
        return "has other content than was saved" if _describe(path) != expected else None
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _describe(path: Path) -> Dict[str, Any]:
    """A file's size in bytes and its SHA-256."""
    size, digest = 0, hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            size += len(chunk)
            digest.update(chunk)
    return {"size": size, "sha256": digest.hexdigest()}


def _is_description(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"size", "sha256"} and type(value["size"]) is int
