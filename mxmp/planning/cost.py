"""What a layer costs: a value that planner, simulator and pictures share."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Sequence, Tuple

Shape = Tuple[int, ...]


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer for one unit of a schedule: a micro-batch, or a time chunk of one.

    Parameters
    ----------
    name : str
        The layer's in its chain.
    flops : int
        Of the forward pass: matrix products only, two for each multiply-add.
    sizes : dict of str to int
        Numbers in each parameter, by name; one that several layers share has one name in all of them.
    out_shapes : tuple of tuple of int
        Of the arrays that it hands on.
    sent_bytes : int
        Of the same arrays; their gradients come back.
    activation_bytes : int
        What it keeps from its forward until its backward pass: its outputs, and what its operators remember. Its
        inputs are counted where they are made.
    steps : int
        Time steps that it computes one after the other; of stacked layers all together.
    itemsize : int
        Bytes of a number in its parameters.
    forward, backward : float or None
        Seconds, where they were measured or estimated.
    note : str
        What is not known of it.
    """

    name: str
    flops: int
    sizes: Dict[str, int]
    out_shapes: Tuple[Shape, ...] = ()
    sent_bytes: int = 0
    activation_bytes: int = 0
    steps: int = 0
    itemsize: int = 4
    forward: Optional[float] = None
    backward: Optional[float] = None
    note: str = ""

    @property
    def parameters(self) -> int:
        """Number of parameters, those it shares with other layers included."""
        return sum(self.sizes.values())

    @property
    def backward_flops(self) -> int:
        """Of the backward pass: each product a b needs two, one for the gradient of a and one for that of b."""
        return 2 * self.flops

    @property
    def work(self) -> float:
        """Seconds of both passes where they are known, else their FLOPs: what plans balance."""
        if self.forward is None or self.backward is None:
            return self.flops + self.backward_flops
        return self.forward + self.backward


def parameter_bytes(costs: Sequence[LayerCost]) -> int:
    """The bytes of the parameters of the layers in ``costs``; a shared one counts once."""
    return sum({name: size * cost.itemsize for cost in costs for name, size in cost.sizes.items()}.values())


def received_bytes(costs: Sequence[LayerCost], layers: range) -> int:
    """The bytes of one unit's inputs that a stage of these ``layers`` copies."""
    return costs[layers.start - 1].sent_bytes if layers.start else 0


def activation_bytes(costs: Sequence[LayerCost], layers: range) -> int:
    """The bytes that a stage of these ``layers`` keeps of one unit, copies of its inputs among them."""
    return received_bytes(costs, layers) + sum(costs[i].activation_bytes for i in layers)


def stage_bytes(costs: Sequence[LayerCost], layers: range, live: int = 1, optimizer_states: int = 2,
                recompute: bool = False) -> int:
    """Bytes that a stage needs.

    Parameters
    ----------
    costs : sequence of LayerCost
        Of all layers, for one unit.
    layers : range
        The positions of the stage's own.
    live : int, default 1
        Units whose activations it holds at once, at most.
    optimizer_states : int, default 2
        Arrays that the optimizer keeps for each parameter: 2 for Adam, 1 for momentum, 0 for plain SGD.
    recompute : bool, default False
        Whether it holds of all live units but one no more than its inputs.

    Returns
    -------
    int
        Parameters, gradients, optimizer's states and live activations, copies of its inputs among them.
    """
    own = [costs[i] for i in layers]
    received, once = received_bytes(costs, layers), activation_bytes(costs, layers)
    return parameter_bytes(own) * (2 + optimizer_states) + (
        live * received + min(live, 1) * (once - received) if recompute else live * once)
