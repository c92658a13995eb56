"""The pipeline: stages, one issuing thread each, and the queues between them."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import mxnet as mx
from mxnet.gluon import Block, Parameter
from mxnet.gluon import nn as gluon_nn

from ..nn import Chain
from ..partition import Plan
from .schedule import fill_drain, forward_only
from .stage import Stage
from .step import Step, Stopped
from .timeline import Timeline

Data = Union[mx.nd.NDArray, Sequence[mx.nd.NDArray]]


class Pipeline:
    """Train a chain of layers that is spread over several contexts.

    A batch is cut into micro-batches, and every stage works on another one at the same time. Each stage is
    issued from a thread of its own: on CPU contexts MXNet's fused RNN operator locks a resource that the
    issuing thread owns, so that two stages issued from one thread never overlap. Threads exchange handles of
    arrays that are still being computed; nothing in a step waits for a device.

    Parameters
    ----------
    chain : Chain, gluon.nn.Sequential or sequence of Block
        The layers. Each takes the arrays that the one before it returns. They are hybridized one by one.
    plan : Plan
        Layers per context.
    loss : Block or None
        Called on the last context with the chain's outputs and the labels; its result is summed.
    num_microbatches : int, default 1
        Parts that a batch is cut into along its first axis; a smaller batch is cut into fewer.

    Notes
    -----
    The parameters' ``grad_req`` becomes 'add', and stays so: every step adds up its micro-batches' gradients, and
    begins by clearing them. Set it back to 'write' before you train the same blocks in plain Gluon.

    Raises
    ------
    ValueError
        If the layers are not a chain, the plan does not place every layer exactly once, or ``num_microbatches`` is
        below 1.

    Examples
    --------
    >>> pipe = Pipeline(chain, Plan((3, 5), (mx.cpu(0), mx.cpu(1))), loss, num_microbatches=4)
    >>> pipe.initialize()
    >>> trainer = Trainer(pipe, "adam", {"learning_rate": 1e-3})
    >>> total = pipe.forward_backward((src, src_len, tgt), (labels, tgt_len))
    >>> trainer.step(num_tokens)
    """

    def __init__(self, chain: Any, plan: Plan, loss: Optional[Block] = None, num_microbatches: int = 1) -> None:
        chain = _as_chain(chain)
        layers = list(chain._children.items())
        if sum(plan.counts) != len(layers):
            raise ValueError(f"the plan {plan} places {sum(plan.counts)} layers, but the chain has {len(layers)}")
        if num_microbatches < 1:
            raise ValueError(f"num_microbatches must be at least 1, got {num_microbatches}")
        self.chain, self.plan, self.num_microbatches = chain, plan, num_microbatches
        self.timeline: Optional[Timeline] = None
        last = len(plan.counts) - 1
        self.stages = [Stage(i, dict(layers[part.start:part.stop]), context, loss if i == last else None)
                       for i, (context, part) in enumerate(zip(plan.contexts, plan.ranges))]
        for stage in self.stages:
            for block in [*stage.layers.values(), *([loss] if isinstance(stage.loss, Block) else [])]:
                block.hybridize()
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix=f"mxmp-stage-{i}")
                         for i in range(len(self.stages))]
        if not self._uninitialized():
            self._place_parameters()

    @property
    def placement(self) -> Dict[Parameter, List[mx.Context]]:
        """Every parameter with its contexts: several where layers of different stages share it."""
        placed: Dict[Parameter, List[mx.Context]] = {}
        for stage in self.stages:
            for parameter in stage.parameters:
                placed.setdefault(parameter, []).append(stage.context)
        return placed

    @property
    def parameter_names(self) -> Dict[Parameter, str]:
        """Every parameter's name by its place in the chain; a shared one has the name of its first place."""
        names: Dict[Parameter, str] = {}
        for stage in self.stages:
            blocks = {**stage.layers, **({"loss": stage.loss} if isinstance(stage.loss, Block) else {})}
            for layer, block in blocks.items():
                for name, parameter in block._collect_params_with_prefix().items():
                    names.setdefault(parameter, f"{layer}.{name}")
        return names

    def save_parameters(self, path: str) -> None:
        """Write the chain's parameters to one file that its own ``load_parameters`` reads too; waits for them.

        Of a shared parameter's equal copies the first is written: Gluon's own method writes their mean, which
        rounds where there are three.
        """
        mx.nd.save(path, {name: parameter.data(parameter.list_ctx()[0])
                          for name, parameter in self.chain._collect_params_with_prefix().items()})

    def load_parameters(self, path: str) -> None:
        """Read parameters that this pipeline or its chain wrote, under any plan."""
        self.chain.load_parameters(path)
        self._place_parameters()

    def _uninitialized(self) -> bool:
        return any(parameter._data is None for parameter in self.placement)

    def initialize(self, init: Any = None, force_reinit: bool = False) -> None:
        """Give every parameter its first value on its own contexts, in the chain's order whatever the plan."""
        for parameter, contexts in self.placement.items():
            parameter.initialize(None, contexts, init or mx.init.Uniform(), force_reinit)
        self._place_parameters()

    def _place_parameters(self) -> None:
        for parameter, contexts in self.placement.items():
            if parameter.list_ctx() != contexts:
                parameter.reset_ctx(contexts)
            if parameter.grad_req == "write":
                parameter.grad_req = "add"

    def seed(self, seed: int) -> None:
        """Seed the random numbers of every stage's thread, each differently; cheap enough for every step."""
        for i, (thread, stage) in enumerate(zip(self._threads, self.stages)):
            thread.submit(mx.random.seed, (seed * 1009 + i) % 2 ** 31, stage.context)

    def forward_backward(self, data: Data, label: Data = ()) -> mx.nd.NDArray:
        """One training step's forward and backward passes over all micro-batches.

        Parameters
        ----------
        data : NDArray or sequence of NDArray
            The chain's inputs; the batch is the first axis of each.
        label : NDArray or sequence of NDArray
            What the loss takes after the chain's outputs; the batch is the first axis.

        Returns
        -------
        NDArray
            The loss summed over the batch, shape (1,), on the last context. It may still be being computed.
            Gradients are those of this sum; `Trainer.step` divides them.
        """
        if self.stages[-1].loss is None:
            raise RuntimeError("this pipeline has no loss; give Pipeline(..., loss=...) to train with it")
        losses = self._execute(data, label, training=True)
        return mx.nd.add_n(*(loss for (loss,) in losses))

    def __call__(self, data: Data, label: Data = ()) -> Any:
        """Forward pass only, in prediction mode: the chain's outputs per micro-batch or, with a loss, its sum."""
        results = self._execute(data, label, training=False)
        return results if self.stages[-1].loss is None else mx.nd.add_n(*(loss for (loss,) in results))

    def _execute(self, data: Data, label: Data, training: bool) -> List[Tuple]:
        """Run a schedule on all stages; returns the last stage's outputs, one tuple per micro-batch."""
        arrays, labels = _as_tuple(data), _as_tuple(label)
        parts = min(self.num_microbatches, arrays[0].shape[0])
        cut = _cut(arrays + labels, parts)
        schedule = (fill_drain if training else forward_only)(len(self.stages), parts)
        step = Step(len(self.stages), [part[:len(arrays)] for part in cut], [part[len(arrays):] for part in cut],
                    training, self.timeline)
        try:
            futures = [thread.submit(step.run, stage, units)
                       for thread, stage, units in zip(self._threads, self.stages, schedule)]
            wait(futures)
        except BaseException:  # Ctrl-C: a stage that was started must not wait for one that was not
            step.stop()
            raise
        errors = [error for error in (future.exception() for future in futures) if error]
        for error in sorted(errors, key=lambda e: isinstance(e, Stopped)):
            raise error  # what really failed comes before the stages that stopped because of it
        return futures[-1].result()

    def close(self) -> None:
        """End the stages' threads; the pipeline cannot run afterwards."""
        for thread in self._threads:
            thread.shutdown()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


def _as_chain(layers: Any) -> Block:
    """Layers given as a plain sequence become a Chain, which names them by their place."""
    if isinstance(layers, (gluon_nn.Sequential, gluon_nn.HybridSequential)):
        return layers
    if isinstance(layers, Block):
        raise ValueError(f"{type(layers).__name__} is one block, not a chain of layers; give a Chain, a Sequential "
                         "or a list of blocks")
    chain = Chain()
    chain.add(*layers)
    return chain


def _as_tuple(data: Data) -> Tuple[mx.nd.NDArray, ...]:
    return tuple(data) if isinstance(data, (tuple, list)) else (data,)


def _cut(arrays: Sequence[mx.nd.NDArray], parts: int) -> List[Tuple[mx.nd.NDArray, ...]]:
    """Micro-batches along the first axis; their sizes differ by one row at most."""
    rows = arrays[0].shape[0]
    if any(array.shape[0] != rows for array in arrays):
        raise ValueError(f"the arrays of one batch have different first axes: {[a.shape for a in arrays]}")
    bounds = [rows * i // parts for i in range(parts + 1)]
    return [tuple(array[start:stop] for array in arrays) for start, stop in zip(bounds, bounds[1:])]
