"""The English side of Tatoeba's German-English sentence pairs (CC BY 2.0 FR), as manythings.org packs them."""
from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import List

from .corpus import Text, line_hash, split_lines
from .files import PathLike, read_lines, read_stream

_PAIRS = "deu.txt"


def load_tatoeba(data_dir: PathLike) -> Text:
    """Load every different English sentence once, in the order of their hashes.

    The file is sorted by length and has many sentences several times, with other translations. By hash no sentence is
    in two splits, and each split is a random sample: 2.5% of the sentences are for validation and 2.5% for the test.

    Parameters
    ----------
    data_dir : str or path
        Folder with ``deu.txt``, ``deu.txt.gz``, or a ``.zip`` that has the former in it: lines of an English
        sentence, a tab, and its translation.

    Returns
    -------
    Text
        Its name is "tatoeba".

    Raises
    ------
    ValueError
        If there is no such file, it is damaged, or a line has no tab.

    Notes
    -----
    ``deu-eng.zip`` of https://www.manythings.org/anki/, drawn from https://tatoeba.org.
    """
    lines = _read(Path(data_dir))
    for number, line in enumerate(lines, 1):
        if "\t" not in line:
            raise ValueError(f"{data_dir}: line {number} of {_PAIRS} has no tab; an English sentence, a tab and its "
                             "translation are expected")
    sentences = sorted({line.split("\t", 1)[0] for line in lines}, key=line_hash)
    return Text("tatoeba", *split_lines(sentences))


def _read(folder: Path) -> List[str]:
    for name in (_PAIRS, _PAIRS + ".gz"):
        if (folder / name).is_file():
            return read_lines(folder / name)
    for path in sorted(folder.glob("*.zip")):
        try:
            with zipfile.ZipFile(path) as archive:
                if _PAIRS in archive.namelist():
                    with archive.open(_PAIRS) as file:
                        return read_stream(file, f"{path}/{_PAIRS}")
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: broken zip file ({error}); fetch it again") from error
    raise ValueError(f"{folder}: no {_PAIRS}, {_PAIRS}.gz or zip file with it; name the folder that has the German-"
                     "English pairs of Tatoeba")
