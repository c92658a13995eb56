"""Steps in plain Gluon: built once in a worker, then started as often as they are measured."""
from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple

import mxnet as mx

from mxmp.contexts import parse_contexts
from mxmp.nn import Chain, LSTMLayer


class Work(NamedTuple):
    """A step, which returns its loss without waiting, and the parameters whose gradients it computes."""

    step: Callable[[], mx.nd.NDArray]
    parameters: List[mx.gluon.Parameter]


class HalfSquare(mx.gluon.HybridBlock):
    """Half the sum of squares at each position, (T, N, H) -> (T, N, 1).

    As a product: MXNet's own reduction takes a hundredth of a whole step on a CPU, all of it in the last stage.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self._hidden_size = hidden_size

    def hybrid_forward(self, F: Any, out: Any) -> Any:
        ones = F.ones((1, self._hidden_size))  # (1, H)
        return 0.5 * F.FullyConnected(F.square(out), ones, num_hidden=1, no_bias=True, flatten=False)


def stack(job: Dict[str, Any], layer: Callable = LSTMLayer) -> Chain:
    """The layers, on the job's first context; of one kind they have the same values in every variant."""
    chain, size = Chain(), job["hidden_size"]
    chain.add(*[layer(size, input_size=size) for _ in range(job["num_layers"])])
    mx.random.seed(1)
    chain.initialize(mx.init.Uniform(size ** -0.5), contexts(job)[0])
    for block in chain.layers.values():
        block.hybridize()
    return chain


def random_batch(job: Dict[str, Any]) -> mx.nd.NDArray:
    """Standard normal numbers (T, N, H) on the first context, the same in every variant."""
    mx.random.seed(2)
    shape = (job["seq_len"], job["batch_size"], job["hidden_size"])
    return mx.nd.random.normal(shape=shape, ctx=contexts(job)[0])


def contexts(job: Dict[str, Any]) -> List[mx.Context]:
    """Those that the job's variant works on."""
    found = parse_contexts(job["contexts"])
    return found if job["on"] == "all" else found[:1]


def plain(job: Dict[str, Any], layer: Callable = LSTMLayer) -> Work:
    """Gluon's way: one graph over all layers and the whole batch."""
    chain, loss, data = stack(job, layer), HalfSquare(job["hidden_size"]), random_batch(job)
    loss.hybridize()

    def step() -> mx.nd.NDArray:
        with mx.autograd.record():
            total = loss(chain(data)).sum()
        total.backward()
        return total
    return Work(step, list(chain.collect_params().values()))


def plain_microbatches(job: Dict[str, Any]) -> Work:
    """The same for one micro-batch after the other; the gradients add up."""
    chain, loss, batch = stack(job), HalfSquare(job["hidden_size"]), random_batch(job)
    loss.hybridize()
    chain.collect_params().setattr("grad_req", "add")

    def step() -> mx.nd.NDArray:
        chain.collect_params().zero_grad()
        losses = []
        for data in mx.nd.split(batch, job["num_microbatches"], axis=1):
            with mx.autograd.record():
                losses.append(loss(chain(data)).sum())
            losses[-1].backward()
            losses[-1].wait_to_read()
        return mx.nd.add_n(*losses)
    return Work(step, list(chain.collect_params().values()))


def matmul(job: Dict[str, Any]) -> Work:
    """Products of square matrices, on all of the job's contexts at once: what the machine can do at most."""
    size = job["matmul_size"]
    pairs = [[mx.nd.random.normal(shape=(size, size), ctx=context) for _ in range(2)] for context in contexts(job)]

    def step() -> mx.nd.NDArray:
        products = [mx.nd.FullyConnected(*pair, num_hidden=size, no_bias=True)
                    for _ in range(job["matmul_repeats"]) for pair in pairs]
        return products[-1][0, 0]
    return Work(step, [])


WORKS: Dict[str, Callable[[Dict[str, Any]], Work]] = {
    "plain": plain, "plain_microbatches": plain_microbatches, "gluon_lstm": partial(plain, layer=mx.gluon.rnn.LSTM),
    "matmul": matmul}
