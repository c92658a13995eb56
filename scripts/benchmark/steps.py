"""MXNet's ways to do the step: built once in a worker, then started as often as they are measured."""
from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, List, Tuple, Type

import mxnet as mx
import numpy

from mxmp import runtime
from mxmp.contexts import parse_contexts
from mxmp.nn import Chain, LSTMLayer
from mxmp.pipeline import Pipeline
from mxmp.pipeline.turn import Turn
from mxmp.planning import Plan
from mxmp.sizes import even_sizes

from .serving import measure_memory, measure_step

# a step, which returns its loss without waiting, and the parameters whose gradients it computes
Work = Tuple[Callable[[], mx.nd.NDArray], List[mx.gluon.Parameter]]


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


def stack(job: Any, layer: Callable = LSTMLayer) -> Chain:
    """The layers that a worker's job or a command's options ask for, on the first context.

    Of one kind they have the same values in every variant.
    """
    chain, size = Chain(), job.hidden_size
    chain.add(*[layer(size, input_size=size) for _ in range(job.num_layers)])
    mx.random.seed(1)
    chain.initialize(mx.init.Uniform(size ** -0.5), parse_contexts(job.contexts)[0])
    for block in chain.layers.values():
        block.hybridize()
    return chain


def random_batch(job: Any) -> mx.nd.NDArray:
    """Standard normal numbers (T, N, H) on the first context, the same in every variant."""
    mx.random.seed(2)
    shape = (job.seq_len, job.batch_size, job.hidden_size)
    return mx.nd.random.normal(shape=shape, ctx=parse_contexts(job.contexts)[0])


def even_plan(num_layers: int, contexts: List[mx.Context]) -> Plan:
    """Equally many neighbouring layers on each context; on some one more where they do not go up."""
    return Plan(tuple(even_sizes(num_layers, len(contexts))), tuple(contexts))


def plain(job: Any, layer: Callable = LSTMLayer) -> Work:
    """Gluon's way: one graph over all layers and the whole batch."""
    chain, loss, data = stack(job, layer), HalfSquare(job.hidden_size), random_batch(job)
    loss.hybridize()

    def step() -> mx.nd.NDArray:
        with mx.autograd.record():
            total = loss(chain(data)).sum()
        total.backward()
        return total
    return step, list(chain.collect_params().values())


def plain_microbatches(job: Any) -> Work:
    """The same for one micro-batch after the other; the gradients add up."""
    chain, loss, batch = stack(job), HalfSquare(job.hidden_size), random_batch(job)
    loss.hybridize()
    chain.collect_params().setattr("grad_req", "add")

    def step() -> mx.nd.NDArray:
        chain.collect_params().zero_grad()
        losses = []
        for data in mx.nd.split(batch, job.num_microbatches, axis=1):
            with mx.autograd.record():
                losses.append(loss(chain(data)).sum())
            losses[-1].backward()
            losses[-1].wait_to_read()
        return mx.nd.add_n(*losses)
    return step, list(chain.collect_params().values())


class OneThread(Pipeline):
    """A pipeline without a thread for each stage: one issues all their units, in an order that the schedule allows.

    It shows what the threads are for: on CPU contexts the fused RNN operator locks a resource of the issuing thread.
    """

    def issue(self, turn: Turn) -> None:
        for step, unit in turn.order:
            step.begin(self.stages[unit.stage])
            step.issue(unit)


def pipeline(job: Any, kind: Type[Pipeline] = Pipeline) -> Work:
    """The stack as a pipeline over the job's contexts."""
    contexts = parse_contexts(job.contexts) * (job.stages_per_context if job.schedule == "interleaved" else 1)
    pipe = kind(stack(job), even_plan(job.num_layers, contexts), HalfSquare(job.hidden_size),
                schedule=job.schedule, layout="TNC", num_microbatches=job.num_microbatches if job.microbatches else 1,
                num_chunks=job.num_chunks if job.chunks else 1, recompute=job.recompute)
    data = random_batch(job)

    def stream() -> mx.nd.NDArray:
        for _ in range(job.steps):
            loss = pipe.forward_backward(data)
            pipe.update(lambda: None)
        pipe.flush()
        return loss
    return stream if job.steps > 1 else partial(pipe.forward_backward, data), list(pipe.parameter_contexts)


def matmul(job: Any) -> Work:
    """Products of square matrices, on all of the job's contexts at once: what the machine can do at most."""
    size, contexts = job.matmul_size, parse_contexts(job.contexts)
    pairs = [[mx.nd.random.normal(shape=(size, size), ctx=context) for _ in range(2)] for context in contexts]

    def step() -> mx.nd.NDArray:
        products = [mx.nd.FullyConnected(*pair, num_hidden=size, no_bias=True)
                    for _ in range(job.matmul_repeats) for pair in pairs]
        return products[-1][0, 0]
    return step, []


WORKS: Dict[str, Callable[[Any], Work]] = {
    "plain": plain, "plain_microbatches": plain_microbatches, "gluon_lstm": partial(plain, layer=mx.gluon.rnn.LSTM),
    "pipeline": pipeline, "one_thread": partial(pipeline, kind=OneThread), "matmul": matmul}


def answers(job: Any) -> Dict[str, Callable[[], Any]]:
    """What a worker answers to each question: about MXNet, or about the step that its job describes."""
    if job.work == "setting":
        return {"setting": lambda: {"contexts": [str(context) for context in parse_contexts(job.contexts)],
                                    "mxnet": mx.__version__, "numpy": numpy.__version__, **runtime.report()}}
    step, parameters = WORKS[job.work](job)
    mx.nd.waitall()

    def squares() -> float:
        return sum(float(array.norm().asscalar()) ** 2 for p in parameters for array in p.list_grad())
    return {"measure": partial(measure_step, lambda: step().asscalar, mx.nd.waitall, squares,
                               -(-job.warmup_steps // job.steps), job.steps),
            "memory": partial(measure_memory, lambda: step, mx.nd.waitall)}
