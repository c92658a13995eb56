"""How far recognized symbols are from the true ones."""
from __future__ import annotations

from typing import Sequence, Union

import numpy as np

Symbols = Union[Sequence[int], np.ndarray]


def edit_distance(hypothesis: Symbols, reference: Symbols) -> int:
    """The fewest insertions, deletions and substitutions that turn ``hypothesis`` into ``reference``.

    Levenshtein 1966, "Binary codes capable of correcting deletions, insertions, and reversals".
    """
    row = np.arange(len(reference) + 1)
    for i, symbol in enumerate(hypothesis, 1):
        before, row = row, np.empty_like(row)
        row[0] = i
        for j, true in enumerate(reference, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (symbol != true))
    return int(row[-1])


def token_error_rate(hypotheses: Sequence[Symbols], references: Sequence[Symbols]) -> float:
    """The edit distances of all ``hypotheses`` together, divided by the length of all ``references`` together.

    Raises
    ------
    ValueError
        If their numbers differ, or the references are empty.
    """
    total = sum(map(len, references))
    if len(hypotheses) != len(references) or not total:
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references of {total} symbols; give one "
                         "for each, and at least one symbol")
    return sum(map(edit_distance, hypotheses, references)) / total
