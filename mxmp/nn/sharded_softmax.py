"""A softmax loss whose projection to the vocabulary is split over several contexts, and what one of them does."""
from __future__ import annotations

from itertools import accumulate
from typing import Any, Dict, Iterable, List, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import Block

from ..contexts import check_contexts
from ..sizes import even_sizes
from .base import TracedBlock
from .loss import check, over_time
from .operators import total
from .parameters import DrawnRows, RowsParameter, Whole


class ShardedSoftmaxLoss(Block):
    """Projection and cross entropy in one, with the vocabulary's rows split over contexts.

    It is ``LabelSmoothedLoss(smoothing)(Projection(vocab_size)(hidden), label, valid_length)`` in another place: each
    context has some rows of the projection, computes the logits of its own tokens and, of them, the logarithm of the
    sum of exponentials, z_k. These, the label's logit from the context that has it and, for label smoothing, the sum
    of the logits are all that leaves a context. Without smoothing the loss is z less the label's logit, with
    z = log(sum of exp(z_k)), and the derivative of z by a token's logit is the token's probability in the softmax of
    its own context, times exp(z_k - z). No context ever holds all the logits, nor all of the projection. Half of the
    eight GPUs of Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks", section 3.5, shared the
    softmax in this way.

    It is a plain Block, as one hybridized graph cannot span contexts; what each context does is hybridized.

    Parameters
    ----------
    vocab_size : int
        Number of tokens V.
    contexts : sequence of mx.Context
        Each gets V // len(contexts) rows, or one more.
    in_units : int, default 0
        Width E of the input; 0 takes it from the first one seen.
    label_smoothing : float, default 0
        As of `LabelSmoothedLoss`.
    layout : str, default 'TNC'
        'TNC' or 'NTC', of the input.
    weight_initializer : Initializer or None
        For the whole projection; None is Xavier, as of `Projection`. The cut does not change what it draws.
    dtype : str, default 'float32'
        Type of the input and of the parameters.

    Inputs
    ------
    - **hidden**: (T, N, E) or (N, T, E) ``dtype``, on any context.
    - **label**: (N, T) int or float, token numbers from 0 to V - 1; one outside counts as the nearest inside.
    - **valid_length**: (N,) int or float, the number of valid labels of each sequence, or any other, which counts as
      the nearest from 0 to T; None if all are.

    Outputs
    -------
    - **loss**: (N,) ``dtype``, in nats, on the input's context.

    Raises
    ------
    ValueError
        If there are no contexts, or more than tokens, or an option is impossible.

    Notes
    -----
    ``save_parameters`` writes the projection in one piece, under the names of a `Projection`, and
    ``load_parameters`` reads it into any number of contexts.

    Examples
    --------
    >>> loss = ShardedSoftmaxLoss(32000, [mx.gpu(2), mx.gpu(3)], in_units=512)
    >>> pipe = Pipeline(chain, Plan((2, 2, 1), (mx.gpu(0), mx.gpu(1), mx.gpu(2))), loss)
    """

    def __init__(self, vocab_size: int, contexts: Sequence[mx.Context], in_units: int = 0,
                 label_smoothing: float = 0.0, layout: str = "TNC", weight_initializer: Any = None,
                 dtype: str = "float32", prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        if not 1 <= len(check_contexts(contexts, "contexts")) <= vocab_size:
            raise ValueError(f"{vocab_size} tokens cannot be split over {len(contexts)} contexts; give at least one "
                             "context and at most one for each token")
        check(label_smoothing, layout)
        self._vocab_size, self._smoothing, self.layout = vocab_size, label_smoothing, layout
        drawn: Dict[str, mx.nd.NDArray] = {}
        ends = [0, *accumulate(even_sizes(vocab_size, len(contexts)))]
        self.shards: List[SoftmaxShard] = []
        with self.name_scope():
            for i, context in enumerate(contexts):
                shard = SoftmaxShard(range(ends[i], ends[i + 1]), vocab_size, context, in_units, label_smoothing > 0,
                                     weight_initializer, drawn, dtype, prefix=f"shard{i}_")
                self.register_child(shard, f"shard{i}")
                shard.hybridize()
                self.shards.append(shard)

    @property
    def contexts(self) -> List[mx.Context]:
        """Where the rows live, the first ones first."""
        return [shard.context for shard in self.shards]

    @property
    def most_rows(self) -> int:
        """Rows of the context that has the most."""
        return max(shard.weight.shape[0] for shard in self.shards)

    def _collect_params_with_prefix(self, prefix: str = "") -> Dict[str, Any]:
        """The names in parameter files: those of the undivided projection."""
        prefix = prefix + "." if prefix else ""
        return {f"{prefix}dense.{name}": Whole([getattr(shard, name) for shard in self.shards])
                for name in ("weight", "bias")}

    def forward(self, hidden: mx.nd.NDArray, label: mx.nd.NDArray, valid_length: Any = None) -> mx.nd.NDArray:
        home = hidden.context
        label = (label if self.layout == "NTC" else label.swapaxes(0, 1)).astype("int32")  # (T, N), as hidden
        label = label.clip(0, self._vocab_size - 1)
        labels = [label - shard.start for shard in self.shards]
        outs = [shard(*arrays) for shard, arrays in zip(self.shards, self._sent(zip([hidden] * len(labels), labels)))]
        # stacked: going back, no work at home comes between the shards'
        logits, log_probs, *sums = (self._stacked(arrays, home) for arrays in zip(*outs))  # (K, T, N)
        own = self._stacked([shard.has(label) for shard, label in zip(self.shards, labels)], home)
        loss = log_sum_exp(logits - log_probs) - (1 - self._smoothing) * mx.nd.sum(logits * own, axis=0)  # (T, N)
        for logit_sums in sums:  # one, with smoothing
            loss = loss - self._smoothing / self._vocab_size * mx.nd.sum(logit_sums, axis=0)
        return over_time(mx.nd, loss, valid_length, self.layout)

    def top_k(self, hidden: mx.nd.NDArray, k: int) -> Tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """The k most likely tokens; no context gets more than k candidates from each other one.

        Parameters
        ----------
        hidden : NDArray
            (..., E) ``dtype``, on any context.
        k : int
            How many, from 1 to the vocabulary's size.

        Returns
        -------
        log_probs : NDArray
            (..., k), their log probabilities, largest first, on the input's context.
        tokens : NDArray
            (..., k) int32, their numbers.

        Raises
        ------
        ValueError
            If k is out of range.
        """
        if not 1 <= k <= self._vocab_size:
            raise ValueError(f"k must be from 1 to the vocabulary's size, {self._vocab_size}; got {k}")
        home = hidden.context
        sent = self._sent([[hidden]] * len(self.shards))
        outs = [shard.top_k(arrays[0], k) for shard, arrays in zip(self.shards, sent)]
        sums, values, tokens = ([array.as_in_context(home) for array in arrays] for arrays in zip(*outs))
        candidates = mx.nd.concat(*values, dim=-1)  # (..., up to k for each context)
        best, positions = mx.nd.topk(candidates, k=k, ret_typ="both", dtype="int32")
        return (mx.nd.broadcast_sub(best, log_sum_exp(mx.nd.stack(*sums, axis=0)).expand_dims(-1)),
                pick_along(mx.nd.concat(*tokens, dim=-1), positions))

    def _sent(self, shares: Iterable[Sequence[mx.nd.NDArray]]) -> List[List[mx.nd.NDArray]]:
        """Each context's arrays, before any context works: a copy waits in its source's queue, behind that work."""
        return [[array.as_in_context(context) for array in arrays] for arrays, context in zip(shares, self.contexts)]

    @staticmethod
    def _stacked(arrays: Sequence[mx.nd.NDArray], home: mx.Context) -> mx.nd.NDArray:
        """One array at home; what is there is copied, too: going back, no shard begins before all copies have left."""
        return mx.nd.stack(*[array.copyto(home) for array in arrays], axis=0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._vocab_size}, {', '.join(map(str, self.contexts))})"


def log_sum_exp(stacked: mx.nd.NDArray) -> mx.nd.NDArray:
    """Over the first axis log(exp(a) + exp(b) + ...), as large as the largest allows: (K, ...) to (...)."""
    largest = mx.nd.BlockGrad(mx.nd.max(stacked, axis=0))  # it cancels: no gradient belongs to it
    return largest + mx.nd.log(mx.nd.sum(mx.nd.exp(mx.nd.broadcast_sub(stacked, largest.expand_dims(0))), axis=0))


def pick_along(array: mx.nd.NDArray, positions: mx.nd.NDArray) -> mx.nd.NDArray:
    """The elements of an array (..., M) at positions (..., k) int32 of its last axis, (..., k)."""
    flat, rows = array.reshape((-1, array.shape[-1])), positions.reshape((-1, positions.shape[-1]))
    starts = mx.nd.arange(0, flat.size, flat.shape[1], dtype="int32", ctx=array.context)  # of the rows
    return mx.nd.take(flat.reshape((-1,)), mx.nd.broadcast_add(rows, starts.expand_dims(1))).reshape(positions.shape)


class SoftmaxShard(TracedBlock):
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
