"""The learning rate of each step."""
from __future__ import annotations

import math


def cosine_rate(step: int, total_steps: int, highest: float, warmup_steps: int) -> float:
    """Linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter 2017, "SGDR", equation 5).

    Parameters
    ----------
    step : int
        Steps taken before this one, 0 to ``total_steps - 1``.
    total_steps : int
        Steps of the whole run.
    highest : float
        The rate at the end of the warm-up.
    warmup_steps : int
        Length of the warm-up; at most half of the run is used.

    Returns
    -------
    float
        The step's learning rate.
    """
    warmup = min(warmup_steps, total_steps // 2)
    if step < warmup:
        return highest * (step + 1) / warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total_steps - warmup)))
