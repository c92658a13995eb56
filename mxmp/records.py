"""Files of a run as JSON with a format's number, and the dataclasses that are filled from them."""
from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Dict, Type, TypeVar, Union, get_type_hints

FORMAT = 1
"""The number of what mxmp writes into a run's folder; docs/checkpoints.md describes it."""

Record = TypeVar("Record")
"""A dataclass whose fields JSON can hold."""


def to_text(values: Dict[str, Any]) -> str:
    """The text of a file that holds ``values`` by name, in the present format."""
    return json.dumps({"format": FORMAT, **values}, indent=2) + "\n"


def read(path: Path) -> Dict[str, Any]:
    """The values by name in a file that `to_text` gave; ValueError says what else it is."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"cannot read {path}: it holds no values by name")
    number = values.pop("format", None)
    if type(number) is not int or number != FORMAT:
        raise ValueError(f"cannot read {path}: its format is {number!r:.40}, not {FORMAT}; use the version of mxmp "
                         "that wrote it")
    return values


def fill(kind: Type[Record], values: Dict[str, Any], source: Any) -> Record:
    """A ``kind`` of the ``values`` that ``source`` has, which must be those of its fields, all of them, and possible.

    The ValueError otherwise begins with the source.
    """
    types = get_type_hints(kind)
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    for fault, wrong in (("lacks", names - set(values)), ("knows", set(values) - names)):
        if wrong:
            raise ValueError(f"{source} is of another program or version: it {fault} {', '.join(sorted(wrong))}")
    for name, value in values.items():
        if not _fits(value, types[name]):
            raise ValueError(f"{source} has {value!r:.40} for {name}, which must be of the type "
                             f"{getattr(types[name], '__name__', types[name])}")
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value from JSON has a field's type; whole numbers are real ones, too."""
    origin, inner = getattr(kind, "__origin__", None), list(getattr(kind, "__args__", ()))
    if origin is Union:
        return any([_fits(value, each) for each in inner])
    if origin is list:
        return isinstance(value, list) and all([_fits(item, each) for item in value for each in inner])
    if kind is float:
        return type(value) in (int, float)
    return type(value) is (origin or kind)
