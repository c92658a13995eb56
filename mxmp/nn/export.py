"""Write a block's graph and values to files, wherever its parameters live."""
from __future__ import annotations

from typing import Any, Sequence

import mxnet as mx
from mxnet.gluon import Block


def write_export(block: Block, outputs: Sequence[Any], path: str, epoch: int, remove_amp_cast: bool) -> None:
    """Write ``PATH-symbol.json`` and ``PATH-EPOCH.params``, four digits in EPOCH, as ``HybridBlock.export`` does.

    Gluon takes the graph from a CachedOp, which cannot span two contexts. A graph names no contexts, so that what was
    spread over several devices goes to files all the same, and runs on one wherever it is loaded. ``outputs`` is what
    the block returned for variables.
    """
    graph = mx.sym.Group(list(outputs)) if len(outputs) > 1 else outputs[0]
    graph.save(f"{path}-symbol.json", remove_amp_cast=remove_amp_cast)
    used = set(graph.list_arguments())
    values = {f"arg:{p.name}": p._reduce() for p in block.collect_params().values() if p.name in used}
    (mx.npx.save if mx.util.is_np_array() else mx.nd.save)(f"{path}-{epoch:04d}.params", values)


def variable(name: str) -> Any:
    """An input of a graph, for NumPy arrays where MXNet was switched to these."""
    return mx.sym.var(name).as_np_ndarray() if mx.util.is_np_array() else mx.sym.var(name)
