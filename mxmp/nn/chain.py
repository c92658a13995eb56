"""A chain of named layers that hand tuples of arrays from one to the next, its wiring, and its way to files."""
from __future__ import annotations

from typing import Any, Callable, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Block, HybridBlock
from mxnet.gluon import nn as gluon_nn

from ..writing import write_arrays, write_aside


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

        Raises
        ------
        ValueError
            If a layer works on arrays only.

        Examples
        --------
        >>> chain.export("model", inputs=("src", "src_len", "tgt"))
        >>> one = mx.gluon.SymbolBlock.imports("model-symbol.json", ["src", "src_len", "tgt"], "model-0000.params",
        ...                                    ctx=mx.gpu(0))
        """
        outputs = tuple(map(variable, inputs))
        for name, layer in self._children.items():
            try:
                outputs = as_tuple(layer(*outputs))
            except (AttributeError, mx.base.NotImplementedForSymbol) as error:
                raise ValueError(f"layer {name!r} ({type(layer).__name__}) works on arrays only and cannot be exported "
                                 f"({error})") from error
        write_export(self, outputs, path, epoch, remove_amp_cast)

    @property
    def layers(self) -> dict:
        """The layers by name, in order; dict of str to Block."""
        return dict(self._children)

    def forward(self, *arrays: Any) -> Any:
        for layer in self._children.values():
            arrays = as_tuple(layer(*arrays))
        return arrays if len(arrays) > 1 else arrays[0]


def as_tuple(arrays: Any) -> Tuple:
    """What a layer takes or returns, one array or several, as a tuple."""
    return tuple(arrays) if isinstance(arrays, (tuple, list)) else (arrays,)


def as_chain(layers: Any) -> Block:
    """A Chain or Sequential as it is; layers in a plain sequence become a Chain, which names them by their place."""
    if isinstance(layers, (gluon_nn.Sequential, gluon_nn.HybridSequential)):
        return layers
    if isinstance(layers, Block):
        raise ValueError(f"{type(layers).__name__} is one block, not a chain of layers; give a Chain, a Sequential "
                         "or a list of blocks")
    chain = Chain()
    chain.add(*layers)
    return chain


class Select(Block):
    """Apply a block to some of a chain's arrays and carry others along.

    A chain hands a tuple of arrays from layer to layer. Most blocks take one or two of them; this wrapper says
    which, and which of the others later layers still need. It is a plain Block, so that arrays that are only
    carried are not copied; the block inside is hybridized.

    Around a recurrent block it is recurrent too: given a list of states as its last input, it returns
    ``(outputs, new_states)``.

    Parameters
    ----------
    block : Block
        Any Gluon block.
    take : sequence of int
        Positions of the block's inputs.
    keep : sequence of int, default ()
        Positions of the arrays that are handed on after the block's result.

    Inputs
    ------
    - **arrays**: all that the layer before it in the chain returns; a ValueError says if they are too few.

    Outputs
    -------
    - **outputs**: a tuple, the block's result or results and the arrays at ``keep``.

    Examples
    --------
    >>> attend = Select(MaskedAttention(512), take=(0, 1, 2), keep=(0,))
    >>> context, query = attend(query, memory, valid_length)
    """

    def __init__(self, block: Block, take: Sequence[int], keep: Sequence[int] = (), prefix: Any = None,
                 params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.block = block
        self.take, self.keep = tuple(take), tuple(keep)

    @property
    def begin_state(self) -> Callable:
        """The method of a recurrent block inside; an AttributeError with others, which have none."""
        return self.block.begin_state

    def forward(self, *arrays: Any) -> Tuple:
        states = [arrays[-1]] if isinstance(arrays[-1], (list, tuple)) else []
        arrays = arrays[:-1] if states else arrays
        last = max(self.take + self.keep)
        if last >= len(arrays):
            raise ValueError(f"{self.block.name} needs {last + 1} arrays from the layer before it, got {len(arrays)}")
        out = self.block(*(arrays[i] for i in self.take), *states)
        out, new_states = out if states else (out, None)
        out = as_tuple(out) + tuple(arrays[i] for i in self.keep)
        return (out, new_states) if states else out


class TimeFirst(HybridBlock):
    """Exchange the first two axes: a pipeline cuts batches along the first, recurrent layers run along it.

    Inputs
    ------
    - **data**: (N, T, ...), or (T, N, ...), of any type.

    Outputs
    -------
    - **out**: (T, N, ...), or (N, T, ...), of the same type.
    """

    def hybrid_forward(self, F: Any, data: Any) -> Any:
        return F.swapaxes(data, 0, 1)

    def __repr__(self) -> str:
        return type(self).__name__


def write_export(block: Block, outputs: Sequence[Any], path: str, epoch: int, remove_amp_cast: bool) -> None:
    """Write ``PATH-symbol.json`` and ``PATH-EPOCH.params``, four digits in EPOCH, as ``HybridBlock.export`` does.

    Gluon takes the graph from a CachedOp, which cannot span two contexts. A graph names no contexts, so that what was
    spread over several devices goes to files all the same, and runs on one wherever it is loaded. ``outputs`` is what
    the block returned for variables.
    """
    graph = mx.sym.Group(list(outputs)) if len(outputs) > 1 else outputs[0]
    with write_aside(f"{path}-symbol.json") as partial:
        partial.write_text(graph.tojson(remove_amp_cast=remove_amp_cast), encoding="utf-8")
    kinds = {**dict.fromkeys(graph.list_arguments(), "arg"), **dict.fromkeys(graph.list_auxiliary_states(), "aux")}
    values = {f"{kinds[p.name]}:{p.name}": p._reduce() for p in block.collect_params().values() if p.name in kinds}
    write_arrays(f"{path}-{epoch:04d}.params", values)


def variable(name: str) -> Any:
    """An input of a graph, for NumPy arrays where MXNet was switched to these."""
    return mx.sym.var(name).as_np_ndarray() if mx.util.is_np_array() else mx.sym.var(name)
