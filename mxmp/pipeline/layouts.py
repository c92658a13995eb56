"""Follow the batch and the time axis of arrays through a chain: what runs along the wrong one gives numbers, not
errors."""
from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from mxnet.gluon import Block
from mxnet.gluon import loss as gluon_loss
from mxnet.gluon import nn as gluon_nn

from .. import nn
from ..nn.base import layout_of

Layouts = Optional[Tuple[Optional[str], ...]]  # of the arrays between two layers, 'NTC' or 'TNC'; None is unknown
_INPUTS = 64  # how many arrays a chain takes is not known: more than any does
_OTHER = {"NTC": "TNC", "TNC": "NTC"}
_KEEP = {gluon_nn.Activation, gluon_nn.BatchNorm, gluon_nn.Dropout, gluon_nn.Embedding, gluon_nn.LayerNorm,
         nn.Projection}
_RUN = {gluon_nn.HybridSequential, gluon_nn.Sequential, nn.Chain}
_TURN = {nn.SequenceEmbedding, nn.TimeFirst}


def check_layouts(layers: Dict[str, Block], layout: str, loss: Any = None) -> None:
    """Refuse a chain in which arrays, inputs of ``layout`` at first, reach a layer or a loss of the other layout.

    Only what is known is refused: Gluon's and mxmp's own layers and losses; nothing is known of what another block
    returns.
    """
    outputs = _follow(layers, (layout,) * _INPUTS)
    # Gluon's other losses take outputs of the labels' layout, which is the pipeline's
    wanted = layout_of(loss) or (layout if type(loss).__module__ == gluon_loss.__name__ else None)
    if wanted and _first(outputs) == _OTHER[wanted]:
        raise ValueError(f"the loss ({type(loss).__name__}) takes outputs of the layout {wanted}, but the chain's are "
                         f"{_OTHER[wanted]}: end the chain with a TimeFirst(), or change the layout of the loss or of "
                         "its layers")


def _follow(layers: Dict[str, Block], layouts: Layouts) -> Layouts:
    """What comes out of layers one after the other."""
    for name, layer in layers.items():
        layouts = _through(name, layer, layouts)
    return layouts


def _through(name: str, layer: Block, layouts: Layouts) -> Layouts:
    """What comes out of a layer."""
    if type(layer) in _RUN:
        return _follow({f"{name}.{inner}": block for inner, block in layer._children.items()}, layouts)
    if isinstance(layer, nn.Select):
        outs = _through(name, layer.block, tuple(_at(layouts, i) for i in layer.take))
        return outs and (*outs, *(_at(layouts, i) for i in layer.keep))
    own = layout_of(layer)
    if own:
        _check(name, layer, own, layouts)
        return (own,)
    known = _first(layouts)
    if type(layer) in _TURN:
        return (known and _OTHER[known],)
    if type(layer) in _KEEP or type(layer) is gluon_nn.Dense and not layer._flatten:
        return (known,)
    return None


def _check(name: str, layer: Block, own: str, layouts: Layouts) -> None:
    if _first(layouts) == _OTHER[own]:
        raise ValueError(
            f"layer {name!r} ({type(layer).__name__}) takes arrays of the layout {own}, but gets {_OTHER[own]}, and "
            f"would run along the batch: put a TimeFirst() before it, give it layout={_OTHER[own]!r} if it has that "
            "option, or give the pipeline the layout of its inputs")


def _first(layouts: Layouts) -> Optional[str]:
    return _at(layouts, 0)


def _at(layouts: Layouts, i: int) -> Optional[str]:
    return layouts[i] if layouts and i < len(layouts) else None
