"""A chain of named layers that hand tuples of arrays from one to the next."""
from __future__ import annotations

from typing import Any, Iterable, Sequence, Tuple

from mxnet.gluon import Block
from mxnet.gluon import nn as gluon_nn

from .export import variable, write_export


class Chain(gluon_nn.Sequential):
    """A Sequential whose layers may take and return several arrays, and may have names.

    What a layer returns are the next one's inputs. On one context it is an ordinary block, the model that a
    pipeline must agree with; `mxmp.Pipeline` spreads the same layers over several contexts.

    Examples
    --------
    >>> chain = Chain()
    >>> with chain.name_scope():
    ...     chain.add_named("bottom", LSTMLayer(384, input_size=256))
    ...     chain.add_named("top", LSTMLayer(384, input_size=384))
    """

    def add_named(self, name: str, block: Block) -> None:
        """Add a layer at the end.

        Parameters
        ----------
        name : str
            The layer's in parameter files, plans and logs.
        block : Block
            Takes the arrays that the layer before it returns.

        Raises
        ------
        ValueError
            If another layer has the name.
        """
        if name in self._children:
            raise ValueError(f"the chain has a layer {name!r} already; give every layer a name of its own")
        self.register_child(block, name)

    def export(self, path: str, epoch: int = 0, remove_amp_cast: bool = True,
               inputs: Sequence[str] = ("data",)) -> None:
        """Write the graph and the values to files as ``HybridBlock.export`` does, wherever the layers live.

        Parameters
        ----------
        path : str
            Beginning of the names of ``path-symbol.json`` and ``path-0000.params``.
        epoch : int, default 0
            The number in the second name.
        remove_amp_cast : bool, default True
            Whether casts that automatic mixed precision put in are left out.
        inputs : sequence of str, default ('data',)
            A name for each of the chain's inputs, those that ``gluon.SymbolBlock.imports`` is given.

        Examples
        --------
        >>> chain.export("model", inputs=("src", "src_len", "tgt"))
        >>> one = mx.gluon.SymbolBlock.imports("model-symbol.json", ["src", "src_len", "tgt"], "model-0000.params",
        ...                                    ctx=mx.gpu(0))
        """
        write_export(self, run_layers(self._children.values(), tuple(variable(name) for name in inputs)), path, epoch,
                     remove_amp_cast)

    @property
    def layers(self) -> dict:
        """The layers by name, in order; dict of str to Block."""
        return dict(self._children)

    def forward(self, *arrays: Any) -> Any:
        arrays = run_layers(self._children.values(), arrays)
        return arrays if len(arrays) > 1 else arrays[0]


def run_layers(layers: Iterable[Block], arrays: Tuple) -> Tuple:
    """Apply layers one after the other; always returns a tuple."""
    for layer in layers:
        out = layer(*arrays)
        arrays = tuple(out) if isinstance(out, (tuple, list)) else (out,)
    return arrays
