"""Sizes in bytes as people write them, and of nearly equal pieces."""
from __future__ import annotations

import re
from typing import List

_UNITS = {"B": 1, "KB": 10 ** 3, "MB": 10 ** 6, "GB": 10 ** 9, "KIB": 2 ** 10, "MIB": 2 ** 20, "GIB": 2 ** 30}


def parse_bytes(text: str) -> int:
    """Read ``"12GB"`` (10^9 bytes each), ``"11.5GiB"`` (2^30 each) or a plain number of bytes, above 0."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([a-zA-Z]*)\s*", text)
    unit = _UNITS.get((match.group(2) or "B").upper()) if match else None
    if match is None or unit is None or not float(match.group(1)):
        raise ValueError(f"cannot read the size {text!r}; write, for example, \"12GB\" or \"11.5GiB\"")
    return int(float(match.group(1)) * unit)


def format_bytes(size: float) -> str:
    """Bytes with a unit that suits them, about three digits."""
    units = ["B", "KiB", "MiB", "GiB"]
    while size >= 1000 and len(units) > 1:
        size /= 1024
        del units[0]
    return f"{size:.3g} {units[0]}" if size < 100 else f"{size:,.0f} {units[0]}"


def even_sizes(size: int, count: int) -> List[int]:
    """Sizes of nearly equal pieces: they differ by one at most."""
    ends = [size * i // count for i in range(count + 1)]
    return [end - begin for begin, end in zip(ends, ends[1:])]
