"""Loss and speed of some steps, without waiting until they are asked for."""
from __future__ import annotations

import time
from typing import Any, Tuple

import mxnet as mx


class Meter:
    """Adds up losses on their device; reading it is the one time that training steps wait for the devices.

    Attributes
    ----------
    tokens : int
        Sum of ``num_tokens`` so far.
    words : int
        Sum of ``num_words`` so far.
    """

    def __init__(self) -> None:
        self.tokens = self.words = 0
        self._loss: Any = 0.0
        self._norm: Any = None
        self._started = time.perf_counter()

    def add(self, loss: mx.nd.NDArray, norm: mx.nd.NDArray, num_tokens: int, num_words: int) -> None:
        """Count one step.

        Parameters
        ----------
        loss, norm : NDArray
            The summed loss and the gradients' norm, shape (1,); they may still be being computed.
        num_tokens : int
            What the loss is summed over, such as target tokens.
        num_words : int
            What speed counts, such as source and target tokens.
        """
        self._loss, self._norm = self._loss + loss, norm
        self.tokens += num_tokens
        self.words += num_words

    def read(self) -> Tuple[float, float, float]:
        """The loss per token, the latest step's gradient norm, and the seconds since the meter was made.

        Waits for all steps that were added, of which there must be one.
        """
        loss, norm = mx.nd.concat(self._loss, self._norm, dim=0).asnumpy()
        return float(loss) / self.tokens, float(norm), time.perf_counter() - self._started
