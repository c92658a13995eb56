"""Label-smoothed cross entropy over the valid tokens of padded sequences."""
from __future__ import annotations

from typing import Any

import mxnet as mx

from .base import MovingBlock, check_layout
from .operators import total, within


class LabelSmoothedLoss(MovingBlock):
    r"""Cross entropy against ``(1 - s) * one_hot(label) + s / V``, summed over each sequence's valid tokens.

    Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7. The sum, not the mean, is returned:
    dividing once by the whole batch's token count (`mxmp.Trainer.step`) makes the result independent of how
    the batch is cut into micro-batches. It is smoothed in prediction mode, too: a perplexity is the exponential of a
    loss whose smoothing is 0.

    Parameters
    ----------
    smoothing : float, default 0
        The weight s of the uniform part, 0 <= s < 1.
    dtype : str, default 'float32'
        Type of the logits.
    layout : str, default 'TNC'
        'TNC' or 'NTC', of the logits.

    Inputs
    ------
    - **logits**: (T, N, V) or (N, T, V) ``dtype``.
    - **label**: (N, T) int or float, token numbers from 0 to V - 1; one outside counts as the nearest inside.
    - **valid_length**: (N,) int or float, the number of valid labels of each sequence, or any other, which counts as
      the nearest from 0 to T; None if all are. A hybridized loss keeps to the one or the other.

    Outputs
    -------
    - **loss**: (N,) ``dtype``, in nats.

    Raises
    ------
    ValueError
        If the smoothing or the layout is impossible.
    """

    def __init__(self, smoothing: float = 0.0, dtype: str = "float32", layout: str = "TNC", prefix: Any = None,
                 params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        check(smoothing, layout)
        self._smoothing, self._dtype, self.layout = smoothing, dtype, layout

    def cast(self, dtype: str) -> None:
        """Change the type of the logits that it takes to ``dtype``."""
        super().cast(dtype)
        self._dtype = dtype

    def hybrid_forward(self, F: Any, logits: Any, label: Any, valid_length: Any = None) -> Any:
        log_probs = F.log_softmax(logits, axis=-1)  # (T, N, V)
        label = F.transpose(label) if self.layout == "TNC" else label
        loss = -(1 - self._smoothing) * F.pick(log_probs, label, axis=-1)  # (T, N)
        if self._smoothing:
            loss = loss - self._smoothing * self._mean(F, log_probs)
        return over_time(F, loss, valid_length, self.layout)

    def _mean(self, F: Any, log_probs: Any) -> Any:
        known = 0 if F is mx.sym else log_probs.shape[-1]
        size = F.cast(F.slice_axis(F.shape_array(log_probs), axis=0, begin=2, end=3), dtype=self._dtype)  # (1,)
        return F.broadcast_div(total(F, log_probs, known, self._dtype), F.expand_dims(size, axis=0))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(smoothing={self._smoothing})"


def check(smoothing: float, layout: str) -> None:
    """Refuse options that a loss cannot have."""
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be at least 0 and below 1, got {smoothing}")
    check_layout(layout)


def over_time(F: Any, losses: Any, valid_length: Any, layout: str) -> Any:
    """Losses (T, N), or (N, T) in the layout 'NTC', summed over each sequence's valid steps: (N,)."""
    axis = layout.index("T")
    if valid_length is not None:
        valid_length = within(F, valid_length, losses, axis)
        losses = F.SequenceMask(losses, valid_length, use_sequence_length=True, axis=axis)
    return F.sum(losses, axis=axis)
