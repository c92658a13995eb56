"""From the command line to options, which are one dataclass; a run that is resumed brings its own."""
from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, field, fields
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Type, TypeVar

from .writing import write_aside

FILE = "options.json"
"""Name of the file in a run's folder that holds its options."""

Options = TypeVar("Options")
"""A dataclass of flags, as of `parse_options`."""


def flag(default: Any, help: str, **extra: Any) -> Any:
    """A dataclass field that is a flag: its ``default``, its ``help``, and ``extra`` for ``add_argument``."""
    return field(default=default, metadata={"help": help, **extra})


def check_at_least(least: int, options: Any, *names: str) -> None:
    """Refuse ``options`` whose ``names`` have a value below ``least``; None is left alone.

    Raises
    ------
    ValueError
        With the flag and its value.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} must be at least {least}, got {value}")


def check_positive(options: Any, *names: str) -> None:
    """Refuse ``options`` whose ``names`` have a value that is not above 0; None is left alone.

    Raises
    ------
    ValueError
        With the flag and its value.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name} must be positive, got {value}")


def parse_flags(kind: Type[Options], description: Optional[str],
                arguments: Optional[Sequence[str]] = None) -> Options:
    """Flags as a ``kind`` of options; ``--help`` begins with the ``description``, ``arguments`` replace the command
    line."""
    parser = argparse.ArgumentParser(description=description)
    add_flags(parser, kind)
    return kind(**vars(parser.parse_args(arguments)))


def parse_options(kind: Type[Options], fixed: Sequence[str], description: Optional[str],
                  arguments: Optional[Sequence[str]] = None) -> Options:
    """Read flags into filled options; with ``--resume`` those of the run are the defaults.

    Parameters
    ----------
    kind : type
        The dataclass of options: its fields are made by `flag`, ``resume`` and ``output_dir`` are among them, and its
        ``filled()`` puts defaults in the place of None.
    fixed : sequence of str
        Options that cannot change when a run is resumed.
    description : str or None
        What ``--help`` says first.
    arguments : sequence of str or None
        In the place of the command line.

    Returns
    -------
    Options
        Of the given kind, filled.

    Raises
    ------
    ValueError
        If a value is impossible, or differs from the run's where resuming needs the same.
    """
    parser = argparse.ArgumentParser(description=description)
    add_flags(parser, kind)
    flags = parser.parse_args(arguments)
    saved = saved_options(Path(flags.output_dir), kind) if flags.resume and flags.output_dir else {}
    if saved:
        parser.set_defaults(**saved)
        flags = parser.parse_args(arguments)
    options = kind(**vars(flags)).filled()  # type: ignore[attr-defined]
    for name in fixed:
        if saved and saved[name] != getattr(options, name):
            raise ValueError(f"--{name} was {saved[name]} in {flags.output_dir} and is {getattr(options, name)} now; "
                             "resume with the same, or train in another --output_dir")
    return options


def add_flags(parser: argparse.ArgumentParser, kind: Any) -> None:
    """Give a ``parser`` one flag per option of the dataclass ``kind``."""
    for option in fields(kind):
        settings = dict(option.metadata)
        if isinstance(option.default, bool):
            settings["action"] = "store_true"
        else:
            settings.setdefault("type", type(option.default))
            if option.default is not None:
                values = option.default if isinstance(option.default, tuple) else (option.default,)
                settings["help"] += f" (default {','.join(map(str, values))})"
        parser.add_argument("--" + option.name, default=option.default, **settings)


def save_options(folder: Path, options: Any) -> List[str]:
    """Write ``options`` to a run's ``folder`` at once; returns a line for every one that has changed."""
    before, now = saved_options(folder, type(options)), asdict(options)
    with write_aside(folder / FILE) as partial:
        partial.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
    return [f"--{name} was {before[name]}, is {value} now" for name, value in now.items()
            if before and before[name] != value and name not in ("resume", "output_dir")]


def saved_options(folder: Path, kind: Any) -> Dict[str, Any]:
    """The options in a run's ``folder`` by name, those it lacks as ``kind`` has them; none where there is no run.

    Raises
    ------
    ValueError
        If they cannot be read.
    """
    if not (folder / FILE).is_file():
        return {}
    try:
        saved = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"cannot read {folder / FILE}: {error}") from error
    return {**asdict(kind()), **saved}


def run(main: Callable[[], None], interrupted: str = "interrupted") -> None:
    """Run a script's main function.

    Parameters
    ----------
    main : callable
        Raises ValueError, RuntimeError or OSError with a message for the user.
    interrupted : str
        What Ctrl-C prints.

    Raises
    ------
    SystemExit
        With the one line, which goes to standard error with exit status 1.
    """
    try:
        main()
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")
    except KeyboardInterrupt:
        sys.exit(interrupted)
