"""Where a pipeline's parameters live, what they are called, and which are not finite."""
from __future__ import annotations

from typing import Any, Dict, Iterable, List, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Block, Parameter

from ..nn.operators import is_float
from ..nn.parameters import Whole
from ..writing import write_arrays
from .stage import Stage

Contexts = Dict[Parameter, List[mx.Context]]  # several where layers of different stages share a parameter


def contexts_of(stages: Sequence[Stage]) -> Contexts:
    """Every parameter with its contexts, in the chain's order."""
    contexts: Contexts = {}
    for stage in stages:
        for parameter, context in stage.contexts.items():
            own = contexts.setdefault(parameter, [])
            if context not in own:
                own.append(context)
    return contexts


def names(stages: Sequence[Stage]) -> Dict[Parameter, str]:
    """Every parameter's name by its place in the chain; a shared one has the name of its first place, and the parts of
    one that is cut into rows have its name."""
    named: Dict[Parameter, str] = {}
    for stage in stages:
        loss = [("loss", block) for block in stage.loss_blocks]
        for layer, block in [*stage.layers.items(), *loss]:
            for name, parameter in block._collect_params_with_prefix().items():
                for shard in getattr(parameter, "shards", [parameter]):
                    named.setdefault(shard, f"{layer}.{name}")
    return named


def names_in(block: Any) -> Dict[Parameter, str]:
    """Every parameter's name by its place in a block, a ValueError for what is none; parts that are cut into rows share
    one."""
    if not isinstance(block, Block):
        raise ValueError(f"Trainer takes a Pipeline or a Block, got {type(block).__name__}; give it the block itself, "
                         "as the places of its parameters are their names in the file of states")
    named: Dict[Parameter, str] = {}
    for name, parameter in block._collect_params_with_prefix().items():
        for shard in getattr(parameter, "shards", [parameter]):
            named.setdefault(shard, name)
    return named


def move_to(contexts: Contexts) -> None:
    """Move parameters that have a context to their own; Gluon tells which have none, where they are used."""
    for parameter, own in contexts.items():
        if (parameter._data is not None or parameter._deferred_init) and parameter.list_ctx() != own:
            parameter.reset_ctx(own)


def initialize(contexts: Contexts, init: Any, force_reinit: bool) -> None:
    """Give every parameter its first value on its own contexts, in the chain's order whatever the plan."""
    for parameter, own in contexts.items():
        parameter.initialize(None, own, init or mx.init.Uniform(), force_reinit)


def draw_seed() -> int:
    """A number of the calling thread's generator, which ``mx.random.seed`` fixes; waits for it."""
    return int(mx.nd.random.randint(0, 2 ** 31 - 1).asscalar())


def save(path: str, chain: Block, loss: Sequence[Block] = ()) -> None:
    """Write the parameters of a chain and of its loss, if that is a block, to one file; waits for them.

    Without any of the loss's, the chain's own ``load_parameters`` reads it too. Of a shared parameter's equal copies
    the first is written: Gluon's own method writes their mean, which rounds where there are three.
    """
    write_arrays(path, {name: parameter._reduce() if isinstance(parameter, Whole) else
                        parameter.data(parameter.list_ctx()[0])
                        for name, parameter in _with_loss(chain, loss)._collect_params_with_prefix().items()})


def load(path: str, chain: Block, loss: Sequence[Block] = ()) -> None:
    """Read what `save` wrote; a ValueError says if the file is another model's."""
    try:
        _with_loss(chain, loss).load_parameters(path)
    except AssertionError as error:  # Gluon's
        raise ValueError(f"{path} does not fit this model: {error}") from error


def _with_loss(chain: Block, loss: Sequence[Block]) -> Block:
    """One block whose parameters have a file's names."""
    if not any(block.collect_params() for block in loss):
        return chain
    both = Block()
    for name, block in [*chain._children.items(), *(("loss", block) for block in loss)]:
        both.register_child(block, name)
    return both


def nonfinite(arrays: Iterable[Tuple[str, mx.nd.NDArray]]) -> List[str]:
    """The names of those of the named arrays that hold NaN or infinity; waits for them."""
    flags = [(name, mx.nd.all_finite(array.as_nd_ndarray())) for name, array in arrays if is_float(array)]
    return [name for name, flag in flags if not flag.asscalar()]


def nonfinite_parameters(names: Dict[Parameter, str]) -> List[str]:
    """The names of the parameters that hold NaN or infinity, of those in a pipeline's ``parameter_names``; waits."""
    return nonfinite((name, parameter.list_data()[0]) for parameter, name in names.items()
                     if parameter._data is not None)
