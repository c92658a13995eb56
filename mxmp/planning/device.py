"""Devices and links by a few figures, for costs that were not measured."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Sequence

from .cost import LayerCost


@dataclass(frozen=True)
class Link:
    """How long arrays take from one context to the next.

    Parameters
    ----------
    latency : float
        Seconds for any transfer.
    bytes_per_second : float
        Bandwidth on top of that.
    """

    latency: float = 0.0
    bytes_per_second: float = float("inf")

    def seconds(self, size: float) -> float:
        """The time that ``size`` bytes take, in seconds."""
        return self.latency + size / self.bytes_per_second


@dataclass(frozen=True)
class Device:
    """What a context can do.

    Parameters
    ----------
    flops_per_second : float
        What matrix products reach, not what the data sheet promises.
    bytes_per_second : float
        Memory bandwidth: a pass reads the parameters and moves the activations at least once.
    layer_seconds : float
        Of a call of a layer in one direction, however small the work is.
    step_seconds : float
        Of every time step of a recurrent layer in one direction, on top: its steps wait for each other.
    """

    flops_per_second: float
    bytes_per_second: float = float("inf")
    layer_seconds: float = 0.0
    step_seconds: float = 0.0


DEVICES = {
    "cpu": Device(1.0e11, 1.0e10, 5e-5, 5e-6),
    "k40m": Device(0.5 * 4.29e12, 288e9, 5e-5, 2e-5),
    "p100": Device(0.5 * 10.6e12, 732e9, 5e-5, 2e-5),
    "v100": Device(0.5 * 15.7e12, 900e9, 5e-5, 2e-5),
    "a100": Device(0.5 * 19.5e12, 1555e9, 5e-5, 2e-5),
}
"""Devices by name; dict of str to Device.

Single precision and memory bandwidth of the data sheets (NVIDIA's product briefs of each board), of which matrix
products reach about half, and a call and a step cost what launching kernels costs; "cpu" is one core of the machine
of docs/benchmarks.md. They are good for choosing between plans: measure (`profile`) for times that are right.
"""
PCIE = Link(2e-5, 1.0e10)
"""PCI Express 3.0 x16, of whose 15.75 GB/s about 10 arrive."""


def estimate(costs: Sequence[LayerCost], device: Device) -> List[LayerCost]:
    """The same costs with the seconds that a device would take.

    A pass takes as long as its arithmetic or its memory traffic, whichever is slower (Williams et al. 2009,
    "Roofline"), and what each call costs. The backward pass moves twice as much: it reads activations and writes
    gradients.

    Parameters
    ----------
    costs : sequence of LayerCost
        Of layers whose FLOPs are known.
    device : Device
        Where they shall run.

    Returns
    -------
    list of LayerCost
        With ``forward`` and ``backward``, in seconds.

    Raises
    ------
    ValueError
        If a layer is of a kind whose work is not known.
    """
    estimates = []
    for cost in costs:
        if cost.note:
            raise ValueError(f"layer {cost.name!r}: {cost.note}")
        moved = cost.parameters * cost.itemsize + cost.activation_bytes
        extra = device.layer_seconds + cost.steps * device.step_seconds
        estimates.append(replace(
            cost, forward=extra + max(cost.flops / device.flops_per_second, moved / device.bytes_per_second),
            backward=extra + max(cost.backward_flops / device.flops_per_second, 2 * moved / device.bytes_per_second)))
    return estimates
