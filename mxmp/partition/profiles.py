"""What was measured of a chain's layers and of the way between contexts, as a value and as a file."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Sequence, Tuple

import mxnet as mx

from .cost import LayerCost
from .device import Link

Piece = Tuple[int, int]  # micro-batches and time chunks that a batch is cut into


@dataclass(frozen=True)
class Profile:
    """What `mxmp.partition.profile` measured.

    Parameters
    ----------
    layers : dict of str to dict
        By kind of context ("cpu", "gpu"), by (micro-batches, chunks), the costs of all layers, seconds included.
    links : dict of str to Link
        Between two kinds of contexts, as "cpu-gpu".
    machine : dict
        Processor, versions and date.
    """

    layers: Dict[str, Dict[Piece, List[LayerCost]]]
    links: Dict[str, Link]
    machine: Dict[str, Any]

    def costs(self, num_microbatches: int = 1, num_chunks: int = 1, kind: str = "") -> List[LayerCost]:
        """The layers' costs for one piece of a batch.

        Parameters
        ----------
        num_microbatches, num_chunks : int, default 1
            How the batch is cut.
        kind : str, default ""
            Kind of context, "cpu" or "gpu"; the first that was measured by default.

        Returns
        -------
        list of LayerCost
            With ``forward`` and ``backward``, in seconds.

        Raises
        ------
        ValueError
            If that was not measured.
        """
        measured = self.layers.get(kind or next(iter(self.layers)), {})
        if (num_microbatches, num_chunks) not in measured:
            raise ValueError(f"the profile has no times for {num_microbatches} micro-batches and {num_chunks} chunks "
                             f"on {kind or next(iter(self.layers))}; measured are "
                             + (", ".join(f"{m} x {c}" for m, c in measured) or "none"))
        return measured[num_microbatches, num_chunks]

    def link(self, contexts: Sequence[mx.Context]) -> Link:
        """The slowest link between neighbours among ``contexts``; one that takes no time where none was measured."""
        found = [self.links[key] for key in map(pair, contexts, contexts[1:]) if key in self.links]
        return max(found, key=lambda link: link.seconds(2 ** 20), default=Link())

    def save(self, path: str) -> None:
        """Write it to ``path`` as JSON."""
        layers = {kind: [{"num_microbatches": m, "num_chunks": c, "costs": [asdict(cost) for cost in costs]}
                         for (m, c), costs in pieces.items()] for kind, pieces in self.layers.items()}
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"machine": self.machine, "links": {key: asdict(link) for key, link in self.links.items()},
                       "layers": layers}, file, indent=1)

    @classmethod
    def load(cls, path: str) -> Profile:
        """Returns the profile that `save` wrote to ``path``.

        Raises
        ------
        ValueError
            If the file is none of those.
        """
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
            layers = {kind: {(piece["num_microbatches"], piece["num_chunks"]):
                             [LayerCost(**{**cost, "out_shapes": tuple(map(tuple, cost["out_shapes"]))})
                              for cost in piece["costs"]] for piece in pieces}
                      for kind, pieces in found["layers"].items()}
            return cls(layers, {key: Link(**link) for key, link in found["links"].items()}, found["machine"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is no profile that this version wrote ({error!r}); measure it again") from error


def pair(source: mx.Context, target: mx.Context) -> str:
    """The name of a kind of link."""
    return f"{source.device_type}-{target.device_type}"
