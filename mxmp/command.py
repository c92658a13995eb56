"""From the command line to options, which are one dataclass; a run that is resumed brings its own."""
from __future__ import annotations

import argparse
import logging
import math
import os
import shlex
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, field, fields
from pathlib import Path
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple, Type, TypeVar

from . import records
from .signals import Signals
from .writing import naming, write_aside

FILE = "options.json"
"""Name of the file in a run's folder that holds its options."""

Options = TypeVar("Options")
"""A dataclass whose fields are made by `flag`."""
_TOO_LARGE = 2 ** 31
_state = {"interrupted": "interrupted"}  # what Ctrl-C prints
_NO_MEMORY = ("bad_alloc", "Failed to allocate", "could not create a", "out of memory")  # C++, MXNet, oneDNN and CUDA
_CPP = ("Traceback (most recent call last):", "File \"", "Stack trace:", "[bt]")


class Parser(argparse.ArgumentParser):
    """Makes a mistake in the flags a ValueError, one line as any other's, where argparse prints all of its usage."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; --help lists the flags")


def flag(default: Any, help: str, **extra: Any) -> Any:
    """A dataclass field that is a flag: its ``default``, its ``help``, and ``extra`` for ``add_argument``.

    As with argparse a default may be text that the flag's ``type`` reads.
    """
    read = extra.get("type", str)
    return field(default=read(default) if isinstance(default, str) else default,
                 metadata={"help": help, "default": default, **extra})


def check_at_least(least: int, options: Any, *names: str) -> None:
    """Refuse ``options`` whose ``names`` have a value, or one in a tuple, below ``least``; None is left alone."""
    for name in names:
        value = getattr(options, name)
        if value is not None and min(value if isinstance(value, tuple) else (value,)) < least:
            raise ValueError(f"--{name} must be at least {least}, got {value}")


def check_positive(options: Any, *names: str) -> None:
    """Refuse ``options`` whose ``names`` have a value that is not above 0; None is left alone."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name} must be positive, got {value}")


def check_utf8(options: Any, *names: str) -> None:
    """Refuse ``options`` whose ``names`` have text that is not UTF-8, which MXNet cannot take; None is left alone."""
    for name in names:
        value = getattr(options, name) or ""
        if value != value.encode("utf-8", "replace").decode("utf-8"):
            raise ValueError(f"--{name} {value!r} is not valid UTF-8; give another, or set a locale of UTF-8")


def add_flags(parser: argparse.ArgumentParser, kind: Any) -> None:
    """Give a ``parser`` one flag per option of the dataclass ``kind``, its own before those of the class it extends."""
    own = list(kind.__annotations__)
    for option in sorted(fields(kind), key=lambda option: own.index(option.name) if option.name in own else len(own)):
        settings = dict(option.metadata)
        if isinstance(option.default, bool):
            settings["action"] = "store_true"
        else:
            read = settings.get("type", type(option.default))
            settings["type"] = read if option.default == "" else _READERS.get(read, read)
            if settings["default"] not in (None, ""):
                settings["help"] += " (default %(default)s)"
        parser.add_argument("--" + option.name, **settings)


def whole(text: str) -> int:
    """A whole number that every operator of MXNet can take, as a flag's type."""
    try:
        number = int(text)
    except ValueError:
        number = _TOO_LARGE
    if abs(number) >= _TOO_LARGE:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number below 2^31")
    return number


def numbers(text: str) -> Tuple[int, ...]:
    """Whole numbers separated by commas, as a flag's type."""
    return tuple(map(whole, text.split(",")))


def _real(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return number


def _filled(text: str) -> str:
    if not text:  # as of a variable that a shell does not know: the default would silently be taken
        raise argparse.ArgumentTypeError("'' is empty")
    return text


_READERS: Dict[Any, Callable[[str], Any]] = {int: whole, float: _real, str: _filled}


def parse_flags(kind: Type[Options], description: Optional[str],
                arguments: Optional[Sequence[str]] = None) -> Options:
    """Flags as a ``kind`` of options; ``--help`` begins with the ``description``, ``arguments`` replace the command
    line."""
    parser = Parser(description=description)
    add_flags(parser, kind)
    return kind(**vars(parser.parse_args(arguments)))


def parse_options(kind: Any, fixed: Sequence[str], description: Optional[str],
                  arguments: Optional[Sequence[str]] = None) -> Any:
    """As `parse_flags`, for a run that may be resumed: what the flags leave out is then as it was in the run's folder.

    In a new run it is as ``kind.preset`` has it, which takes the given flags by name and returns defaults;
    ``kind.resumed`` takes what was saved and the given flags, and returns what still holds of the former.
    ``resume`` and ``output_dir`` are among the options; those that are ``fixed`` cannot change when a run is resumed.
    What is resumed must be there.
    """
    parser = Parser(description=description, add_help=False)  # the help shall show the preset
    add_flags(parser, kind)
    blank = argparse.Namespace(**{option.name: None for option in fields(kind)})
    flags = {name: value for name, value in vars(parser.parse_known_args(arguments, blank)[0]).items()
             if value is not None}
    folder = flags.get("output_dir") if flags.get("resume") else None
    saved = saved_options(Path(folder), kind) if folder else {}
    if folder and not saved:
        raise ValueError(f"--resume: {folder} holds no run to go on with, it has no {FILE}; leave out --resume to "
                         "begin one")
    go_on_with(*(sys.argv[1:] if arguments is None else arguments))  # until there is a folder to resume
    parser.add_argument("-h", "--help", action="help", help="show this help message and exit")
    parser.set_defaults(**(kind.resumed(saved, flags) if saved else kind.preset(flags)))
    options = kind(**vars(parser.parse_args(arguments)))
    for name in fixed:
        if saved and saved[name] != getattr(options, name):
            raise ValueError(f"--{name} was {saved[name]} in {folder} and is {getattr(options, name)} now; "
                             "resume with the same, or train in another --output_dir")
    return options


def save_options(folder: Path, options: Any) -> List[str]:
    """Write ``options`` to a run's ``folder`` at once; returns a line for every one that has changed."""
    before, now = saved_options(folder, type(options)), asdict(options)
    with write_aside(folder / FILE) as partial:
        partial.write_text(records.to_text(now), encoding="utf-8")
    return [f"--{name} was {before[name]}, is {value} now" for name, value in now.items()
            if before and before[name] != value and name not in ("resume", "output_dir")]


def saved_options(folder: Path, kind: Any) -> Dict[str, Any]:
    """The options in a run's ``folder`` by name, which must be those of a ``kind``; none where there is no run."""
    path = folder / FILE
    return asdict(records.fill(kind, records.read(path), path)) if path.is_file() else {}


def go_on_with(*arguments: str) -> None:
    """From now on tell who interrupts the program to go on with the same one and these ``arguments``."""
    _state["interrupted"] = f"interrupted; go on with {shlex.join([sys.executable, sys.argv[0], *arguments])}"


def run(main: Callable[[], None]) -> None:
    """Run a program's ``main``, which raises ValueError, RuntimeError or OSError with a message for the user.

    That goes to standard error as one line, with exit status 1. Ctrl-C, SIGTERM and SIGHUP print how to go on, where
    `go_on_with` said so, and the status is 128 and the signal's number; so it is, without a word, where nobody reads
    any more what is written. A line of a log that cannot be written ends no program. Characters that a terminal's
    encoding lacks are written by their numbers.
    """
    logging.raiseExceptions = False  # a traceback for each line of a log that cannot be written
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # none where it is closed
        setattr(sys, name, stream)
        stream.reconfigure(errors="backslashreplace")
    try:
        with Signals():
            main()
            with naming("standard output"):
                sys.stdout.flush()
        return
    except BrokenPipeError:
        status: Any = 128 + signal.SIGPIPE
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        _drop_pending()
        status = f"{Path(sys.argv[0]).name}: error: {_one_line(error)}"
    except SystemExit as ended:  # of --help
        status = ended.code
    except KeyboardInterrupt as error:
        with suppress(OSError):  # the terminal may be gone
            print(_state["interrupted"], file=sys.stderr)
        status = 128 + getattr(error, "number", signal.SIGINT)
    _let_go()
    sys.exit(status)


def _let_go() -> None:
    """Drop what standard output does not take, which Python would try to write, and complain, at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(error: Exception) -> str:
    """An error's message on one line, without the places in C++ that MXNet's begin and end with."""
    lines = [line.strip() for line in str(error).splitlines()]
    message = " ".join(line for line in lines if line and not line.startswith(_CPP)) or type(error).__name__
    if isinstance(error, MemoryError) or any(words in message for words in _NO_MEMORY):
        message = f"it seems that memory is short ({message}); lower the batch size, or let fewer programs run at once"
    return message


def _drop_pending() -> None:
    """Wait for what MXNet still computes: it would print an error that nobody waited for, with a traceback, at exit."""
    if "mxnet" in sys.modules:
        with suppress(RuntimeError):
            sys.modules["mxnet"].nd.waitall()
