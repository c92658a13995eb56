"""Errors that say where in the pipeline they happened."""
from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator


@contextmanager
def located(place: str) -> Iterator[None]:
    """Let an exception that is raised inside go on as itself, with ``place`` at the end of its message."""
    try:
        yield
    except Exception as error:
        add_place(error, place)
        raise


def add_place(error: Exception, place: str) -> None:
    """Append a place to an exception's message."""
    message = str(error.args[0]) if error.args else type(error).__name__
    lines = "\n" if "\n" in message else " "  # MXNet's messages end with a stack trace
    error.args = (f"{message}{lines}({place})", *error.args[1:])
