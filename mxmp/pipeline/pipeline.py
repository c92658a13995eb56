"""The pipeline: a chain's stages, and one issuing thread for each."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Optional, Tuple

import mxnet as mx
from mxnet.gluon import Parameter, ParameterDict

from ..nn.chain import as_chain
from ..planning import Plan
from ..schedule import SCHEDULES
from . import parameters
from .cut import LAYOUTS, Data, Feed, join
from .errors import Loss, Probes
from .stage import Stage
from .states import States, check_chunkable, cut_states, join_states
from .step import Step
from .timeline import Timeline


class Pipeline:
    """Train a chain of layers that is spread over several contexts.

    A batch is cut into micro-batches and, if asked for, time chunks, and every stage works on another one at the same
    time. Each stage is issued from a thread of its own: on CPU contexts MXNet's fused RNN operator locks a resource
    that the issuing thread owns, so that two stages issued from one thread never overlap. Threads exchange handles
    of arrays that are still being computed; nothing in a step waits for a device. Every argument but ``loss`` is an
    attribute, too.

    Parameters
    ----------
    chain : Chain, gluon.nn.Sequential or sequence of Block
        The layers. Each takes the arrays that the one before it returns. They are hybridized one by one.
    plan : Plan
        Layers per context.
    loss : callable or None
        Called on the last context with the chain's outputs and the labels, over a micro-batch's whole time; its
        result is summed. Any Gluon loss.
    num_microbatches : int, default 1
        Parts that a batch is cut into along its batch axis; a smaller batch is cut into fewer.
    num_chunks : int, default 1
        Parts that each micro-batch is cut into along its time axis, for chains whose layers only look back; a shorter
        sequence is cut into fewer. Recurrent layers hand their states from chunk to chunk.
    schedule : str, default "1f1b"
        "1f1b", "fill_drain" or "wavefront"; docs/pipeline.md says when to use which.
    layout : str, default "NTC"
        Axes of the chain's inputs and outputs: "NTC" (batch first) or "TNC" (time first). Arrays with one axis have
        the batch there.

    Raises
    ------
    ValueError
        If the layers are not a chain, the plan does not place every layer exactly once, an option is none of those
        above, or a layer cannot run in time chunks.

    Notes
    -----
    The parameters' ``grad_req`` becomes 'add', and stays so: every step adds up its micro-batches' gradients, and
    begins by clearing them. Set it back to 'write' before you train the same blocks in plain Gluon.

    Examples
    --------
    >>> pipe = Pipeline(chain, Plan((3, 5), (mx.cpu(0), mx.cpu(1))), loss, num_microbatches=4)
    >>> pipe.initialize()
    >>> trainer = Trainer(pipe, "adam", {"learning_rate": 1e-3})
    >>> total = pipe.forward_backward((src, src_len, tgt), (labels, tgt_len))
    >>> trainer.step(num_tokens)
    """

    def __init__(self, chain: Any, plan: Plan, loss: Optional[Callable] = None, num_microbatches: int = 1,
                 num_chunks: int = 1, schedule: str = "1f1b", layout: str = "NTC") -> None:
        chain = as_chain(chain)
        layers = list(chain._children.items())
        if sum(plan.counts) != len(layers):
            raise ValueError(f"the plan {plan} places {sum(plan.counts)} layers, but the chain has {len(layers)}")
        _check_options(num_microbatches, num_chunks, schedule, layout)
        if num_chunks > 1:
            check_chunkable(dict(layers))
        self.chain, self.plan = chain, plan
        self.num_microbatches, self.num_chunks = num_microbatches, num_chunks
        self.schedule, self.layout = schedule, layout
        losses = [None] * (len(plan.counts) - 1) + [loss]
        self.stages = [Stage(i, dict(layers[run.start:run.stop]), context, own_loss, layout)
                       for i, (context, run, own_loss) in enumerate(zip(plan.contexts, plan.ranges, losses))]
        self._carrying: Optional[bool] = None
        self._hybridize(carrying=False)
        self._probes = Probes()
        self._seed: Optional[Tuple[int, int]] = None
        self._timeline: Optional[Timeline] = None
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix=f"mxmp-stage-{i}")
                         for i in range(len(self.stages))]
        if all(parameter._data is not None for parameter in self.parameter_contexts):
            parameters.move_to(self.parameter_contexts)

    @property
    def parameter_contexts(self) -> Dict[Parameter, List[mx.Context]]:
        """Every parameter with its contexts: several where layers of different stages share it; dict."""
        return parameters.contexts_of(self.stages)

    @property
    def parameter_names(self) -> Dict[Parameter, str]:
        """Every parameter's name by its place in the chain; a shared one has that of its first place; dict."""
        return parameters.names(self.stages)

    def collect_params(self, select: Optional[str] = None) -> ParameterDict:
        """The chain's and the loss's parameters; ``select`` is a regular expression, as in Gluon."""
        params = self.chain.collect_params(select)
        for block in self.stages[-1].loss_blocks:
            params.update(block.collect_params(select))
        return params

    def initialize(self, init: Any = None, force_reinit: bool = False) -> None:
        """Give every parameter its first value on its own contexts, in the chain's order whatever the plan.

        Parameters
        ----------
        init : Initializer or None
            For parameters without one of their own; None is ``mx.init.Uniform()``.
        force_reinit : bool, default False
            Whether parameters that have values get new ones.
        """
        parameters.initialize(self.parameter_contexts, init, force_reinit)
        parameters.move_to(self.parameter_contexts)

    def save_parameters(self, path: str) -> None:
        """Write the chain's parameters to ``path``, which its own ``load_parameters`` reads too; waits for them.

        A loss's own parameters are added as ``loss.NAME``.
        """
        parameters.save(path, self.chain, self.stages[-1].loss_blocks)

    def load_parameters(self, path: str) -> None:
        """Read parameters that this pipeline or its chain wrote to ``path``, under any plan.

        Raises
        ------
        ValueError
            If the file is another model's.
        """
        parameters.load(path, self.chain, self.stages[-1].loss_blocks)
        parameters.move_to(self.parameter_contexts)

    def begin_state(self, batch_size: int) -> States:
        """The zero states of all recurrent layers on their contexts, for batches of ``batch_size`` rows.

        Returns
        -------
        list of list of NDArray
            Of each recurrent layer what its own ``begin_state`` gives.
        """
        return [layer.begin_state(batch_size, ctx=stage.context) for stage in self.stages for layer in stage.stateful]

    def seed(self, seed: int, step: int = 0) -> None:
        """Fix the next training step's random numbers; later steps go on.

        Each stage has a seed of its own, made of ``seed``, of ``step``, a number from 0 that tells a run's steps apart,
        and of the stage (numpy's ``SeedSequence``, so that no two of them are alike); its units draw in their order.
        """
        self._seed = seed, step

    def timeline(self) -> Timeline:
        """Returns a recording of when each unit really runs, until its ``stop()`` or the end of its ``with`` block."""
        self._timeline = Timeline(self.plan.contexts)
        return self._timeline

    def forward_backward(self, data: Data, label: Data = (), states: Optional[States] = None) -> Any:
        """One training step's forward and backward passes over all micro-batches and chunks.

        Parameters
        ----------
        data : NDArray or sequence of NDArray
            The chain's inputs. One with a gradient attached (``attach_grad``) gets it.
        label : NDArray or sequence of NDArray
            What the loss takes after the chain's outputs.
        states : list of list of NDArray or None
            What `begin_state` or the step before gave. No gradient goes back through them (truncated
            back-propagation through time).

        Returns
        -------
        NDArray or (NDArray, states)
            The loss summed over the batch, shape (1,), on the last context, which may still be being computed; with
            states given also the new ones. Gradients are those of this sum; `Trainer.step` divides them. An error
            that MXNet finds only while computing is raised where the loss is waited for, its place in its message; to
            wait for the loss is to wait for its whole step.

        Raises
        ------
        ValueError
            If the arrays' batch or time axes differ or are empty, the states are not those of this batch, or the
            chain's outputs have another layout than its inputs.
        RuntimeError
            If the pipeline has no loss.
        """
        self._check_loss()
        return self._execute(data, label, states, training=True)

    def __call__(self, data: Data, label: Optional[Data] = None, states: Optional[States] = None) -> Any:
        """Forward pass only, in prediction mode.

        Parameters
        ----------
        data : NDArray or sequence of NDArray
            The chain's inputs.
        label : NDArray, sequence of NDArray or None
            What the loss takes after the chain's outputs; None for no loss.
        states : list of list of NDArray or None
            What `begin_state` or the call before gave.

        Returns
        -------
        NDArray, tuple of NDArray, or (either, states)
            What the chain returns for the whole batch, on the last context; with ``label`` the summed loss, as of
            `forward_backward`. With states given also the new ones.

        Raises
        ------
        ValueError, RuntimeError
            As `forward_backward`; a loss is needed with ``label`` only.
        """
        if label is not None:
            self._check_loss()
        return self._execute(data, label, states, training=False)

    def _check_loss(self) -> None:
        if self.stages[-1].loss is None:
            raise RuntimeError("this pipeline has no loss; give Pipeline(..., loss=...) to train or evaluate with it")

    def wait(self) -> None:
        """Wait until all that was issued is there; an error that MXNet finds is raised here with its place."""
        self._probes.check()

    def _execute(self, data: Data, label: Optional[Data], states: Optional[States], training: bool) -> Any:
        feed = Feed.of(data, label, self.layout, self.num_microbatches, self.num_chunks, training)
        carrying = states is not None or len(feed.steps) > 1
        self._hybridize(carrying)
        stateful = [stage.stateful for stage in self.stages]
        pieces = cut_states(states or self.begin_state(sum(feed.rows)), stateful, feed.rows) if carrying else None
        timeline = self._timeline if self._timeline and self._timeline.recording else None
        if timeline:
            timeline.begin_step()
        step = Step(self.schedule if training else None, len(self.stages), feed, pieces,
                    self._seed if training else None, timeline)
        self.issue(step)
        if training:
            self._seed = None
            feed.hand_back(step.results("B"))
        result = self._result(step, feed)
        return result if states is None else (result, join_states(step.states(), stateful, len(feed.rows)))

    def issue(self, step: Step) -> None:
        """Let every stage's thread issue its units of a ``step``; called once a step.

        A hook: a subclass may issue them in another way, ``step.begin(stage)`` for each of ``stages``, then
        ``step.issue(unit)`` for every unit of ``step.schedule``, in an order in which each comes after what it needs.
        """
        step.run_all(self.stages, self._threads)

    def _result(self, step: Step, feed: Feed) -> Any:
        """The sum of the losses or, without a loss, the joined outputs."""
        count = self._probes.add(step.probes(), self.plan.contexts)
        outputs = step.results("F")
        if feed.labels is not None:
            return Loss.of([loss for losses in outputs.values() for loss in losses], self._probes, count)
        joined = join(outputs, feed.rows, feed.steps, self.layout)
        return joined if len(joined) > 1 else joined[0]

    def _hybridize(self, carrying: bool) -> None:
        """Hybridize the layers, anew where calls with states follow calls without: Gluon's recurrent layers are
        traced for one of the two."""
        if self._carrying != carrying:
            self._carrying = carrying
            for stage in self.stages:
                for block in [*stage.layers.values(), *stage.loss_blocks]:
                    block.hybridize()

    def close(self) -> None:
        """End the stages' threads; the pipeline cannot run afterwards."""
        for thread in self._threads:
            thread.shutdown()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


def _check_options(num_microbatches: int, num_chunks: int, schedule: str, layout: str) -> None:
    for name, value in (("num_microbatches", num_microbatches), ("num_chunks", num_chunks)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    for name, choice, known in (("schedule", schedule, tuple(SCHEDULES)), ("layout", layout, LAYOUTS)):
        if choice not in known:
            raise ValueError(f"unknown {name} {choice!r}; choose one of {', '.join(map(repr, known))}")
