"""From the command line to options; a run that is resumed brings its own."""
from __future__ import annotations

import argparse
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from .options import Options

FILE = "options.json"
_FIXED = ("dataset", "src_lang", "tgt_lang", "vocab_size", "separate_vocab", "max_length", "embed_size", "hidden_size",
          "encoder_layers", "decoder_layers", "batch_size", "seed")


def parse_options(description: Optional[str], arguments: Optional[Sequence[str]] = None) -> Options:
    """Read flags into filled options; with ``--resume`` those of the run are the defaults.

    Parameters
    ----------
    description : str or None
        Of the program, for ``--help``.
    arguments : sequence of str or None
        The command line; by default the program's own.

    Returns
    -------
    Options

    Raises
    ------
    ValueError
        If a value is impossible, or differs from the run's where resuming needs the same.
    """
    parser = argparse.ArgumentParser(description=description)
    add_flags(parser)
    flags = parser.parse_args(arguments)
    saved = saved_options(Path(flags.output_dir)) if flags.resume and flags.output_dir else {}
    if saved:
        parser.set_defaults(**saved)
        flags = parser.parse_args(arguments)
    options = Options(**vars(flags)).filled()
    for name in _FIXED:
        if saved and saved[name] != getattr(options, name):
            raise ValueError(f"--{name} was {saved[name]} in {flags.output_dir} and is {getattr(options, name)} now; "
                             "resume with the same, or train in another --output_dir")
    return options


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` one flag per option."""
    for option in fields(Options):
        settings = dict(option.metadata)
        if isinstance(option.default, bool):
            settings["action"] = "store_true"
        else:
            settings.setdefault("type", type(option.default))
            if option.default is not None:
                settings["help"] += f" (default {option.default})"
        parser.add_argument("--" + option.name, default=option.default, **settings)


def save_options(folder: Path, options: Options) -> List[str]:
    """Write ``options`` to a run's ``folder``, at once; returns a line for every option that changed."""
    before = saved_options(folder)
    partial = folder / (FILE + ".partial")
    partial.write_text(json.dumps(options.as_dict(), indent=2) + "\n", encoding="utf-8")
    os.replace(partial, folder / FILE)
    return [f"--{name} was {before[name]}, is {value} now" for name, value in options.as_dict().items()
            if before and before[name] != value and name not in ("resume", "output_dir")]


def saved_options(folder: Path) -> Dict[str, Any]:
    """The options in a run's ``folder`` by name; none where there is no run.

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
    return {**Options().as_dict(), **saved}
