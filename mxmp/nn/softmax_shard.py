"""What one context does for a softmax that is split over several."""
from __future__ import annotations

from typing import Any, Dict, Tuple

import mxnet as mx
from mxnet.gluon import HybridBlock

from .operators import total
from .parameters import DrawnRows, RowsParameter


class SoftmaxShard(HybridBlock):
    """Some rows of a projection to the vocabulary, and what a softmax over all rows needs of them.

    One thread issues the work of all shards. On CPUs many operators (products, reductions, a number added to an array)
    take one of four temporary spaces of their thread, by turns, from when they are issued until they have run: after
    four that wait behind a shard's product, the next shard's would wait, too. So nothing here but products takes one,
    forward or backward; differences and masks are left to the caller.

    ``tokens`` are the numbers of its own V' tokens of ``vocab_size``; ``add_up`` asks for the sum of the logits, as for
    label smoothing; ``weight_initializer`` (None is Xavier) and ``drawn`` are those of the whole projection
    (`DrawnRows`). Its inputs are data (T, N, E), or with the first two axes exchanged, and labels (T, N) or (N, T)
    int32, counted from its own first token; others' are out of range. Its outputs have the labels' shape: the label's
    logit, or some token's where another shard has the label; the logarithm of that token's probability among this
    shard's (the difference of the two is the logarithm of the sum of exponentials); and the sum of its logits.
    """

    def __init__(self, tokens: range, vocab_size: int, context: mx.Context, in_units: int, add_up: bool,
                 weight_initializer: Any, drawn: Dict[str, mx.nd.NDArray], dtype: str, prefix: Any = None,
                 params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._tokens, self._add_up, self._dtype = tokens, add_up, dtype
        init = DrawnRows(mx.initializer.create(weight_initializer or mx.init.Xavier()), vocab_size, tokens.start, drawn)
        for name, shape, how in (("weight", (len(tokens), in_units), init), ("bias", (len(tokens),), mx.init.Zero())):
            full = self.params.prefix + name
            self.params.update({full: RowsParameter(full, context, tokens.start, shape=shape, init=how, dtype=dtype,
                                                    allow_deferred_init=True)})
            setattr(self, name, self.params.get(name))

    @property
    def start(self) -> int:
        """Number of its first token."""
        return self._tokens.start

    def has(self, label: mx.nd.NDArray) -> mx.nd.NDArray:
        """1 where a ``label``, counted from its first token, is its own, else 0; as the label, ``dtype``."""
        return ((label >= 0) * (label < len(self._tokens))).astype(self._dtype)

    @property
    def context(self) -> mx.Context:
        """Where its parameters are."""
        return self.weight.context or self.weight.list_ctx()[0]

    def hybrid_forward(self, F: Any, data: Any, label: Any, weight: Any, bias: Any) -> Any:
        logits = self._logits(F, data, weight, bias)  # (T, N, V')
        label = F.clip(label, 0, len(self._tokens) - 1)  # its first or last token where the label is another shard's
        outs = [F.pick(logits, label, axis=-1), F.pick(F.log_softmax(logits, axis=-1), label, axis=-1)]
        return (*outs, total(F, logits, len(self._tokens), self._dtype)) if self._add_up else tuple(outs)

    def _logits(self, F: Any, data: Any, weight: Any, bias: Any) -> Any:
        return F.FullyConnected(data, weight, bias, num_hidden=len(self._tokens), flatten=False)

    def top_k(self, data: mx.nd.NDArray, k: int) -> Tuple[mx.nd.NDArray, mx.nd.NDArray, mx.nd.NDArray]:
        """Of ``data`` (..., E) the log of the sum of the exponentials of all its logits, (...), and its k largest
        logits, the largest first, with their numbers in the whole vocabulary, (..., min(k, V')) each."""
        logits = self._logits(mx.nd, data, self.weight.data(), self.bias.data())  # (..., V')
        values, tokens = mx.nd.topk(logits, k=min(k, len(self._tokens)), ret_typ="both", dtype="int32")
        first = logits.slice_axis(axis=-1, begin=0, end=1)
        log_sum = first - mx.nd.log_softmax(logits, axis=-1).slice_axis(axis=-1, begin=0, end=1)
        return log_sum.reshape(logits.shape[:-1]), values, tokens + self._tokens.start
