"""Loss and speed of some steps, without waiting until they are asked for."""
from __future__ import annotations

import time
from typing import Any, Tuple

import mxnet as mx

from ..data import Batch


class Meter:
    """Adds up losses on their device; reading it is the one time that training steps wait for the devices.

    Attributes
    ----------
    tokens : int
        Target tokens counted so far.
    words : int
        Source and target tokens counted so far.
    """

    def __init__(self) -> None:
        self.tokens = self.words = 0
        self._loss: Any = 0.0
        self._norm: Any = None
        self._started = time.perf_counter()

    def add(self, loss: mx.nd.NDArray, norm: mx.nd.NDArray, batch: Batch) -> None:
        """Count the step of a ``batch``: its summed ``loss`` and gradient ``norm``, (1,) float32 and not waited for."""
        self._loss, self._norm = self._loss + loss, norm
        self.tokens += batch.num_tokens
        self.words += batch.num_words

    def read(self) -> Tuple[float, float, float]:
        """The loss per target token in nats, the latest step's gradient norm, and seconds since the meter was made."""
        loss, norm = mx.nd.concat(self._loss, self._norm, dim=0).asnumpy()
        return float(loss) / self.tokens, float(norm), time.perf_counter() - self._started
