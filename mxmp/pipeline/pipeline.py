"""The pipeline: a chain's stages, and one issuing thread for each."""
from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence, Union

from mxnet import autograd

from ..nn.chain import as_chain
from ..planning import Plan
from .checks import check_options, for_each_stage
from .continuous import Continuous, Issue, OneByOne
from .cut import Data, Feed
from .errors import Loss
from .layouts import check_layouts
from .staged_chain import StagedChain
from .states import States, check_chunkable, cut_states, join_states
from .step import Step
from .threads import StageThreads
from .timeline import Timeline
from .turn import Turn
from .watchdog import Watchdog


class Pipeline(StagedChain):
    """Train a chain of layers that is spread over several contexts.

    A batch is cut into micro-batches and, if asked for, time chunks, and every stage works on another one at the same
    time. Each stage is issued from a thread of its own: on CPU contexts MXNet's fused RNN operator locks a resource
    that the issuing thread owns, so that two stages issued from one thread never overlap. Threads exchange handles
    of arrays that are still being computed; nothing in a step waits for a device. Every argument but ``loss`` is an
    attribute, too. docs/pipeline.md says what holds for threads, forks, interrupts and random seeds.

    Parameters
    ----------
    chain : Chain, gluon.nn.Sequential or sequence of Block
        The layers. Each takes what the one before it returns: arrays, alone or in lists, None and numbers.
    plan : Plan
        Layers per context.
    loss : callable or None
        Called on the last context with the chain's outputs and then the labels, over a micro-batch's whole time. It
        returns a loss for each row, as any Gluon loss; their sum goes backward.
    num_microbatches : int, default 1
        Parts that a batch is cut into along its batch axis; a smaller batch is cut into fewer.
    num_chunks : int, default 1
        Parts that each micro-batch is cut into along its time axis, for chains whose layers only look back; a shorter
        sequence is cut into fewer. Recurrent layers hand their states from chunk to chunk.
    schedule : str, default "1f1b"
        "1f1b", "fill_drain", "wavefront", "interleaved" for a plan whose contexts come again and again, or
        "continuous", whose gradients are applied a step late; docs/pipeline.md says when to use which.
    layout : str, default "NTC"
        Axes of the chain's inputs and outputs: "NTC" (batch first) or "TNC" (time first). Arrays with one axis have
        the batch there.
    reduction : str, default "sum"
        "sum", or "mean" to divide loss and gradients by the batch's rows.
    hybridize : bool, default True
        Whether layers of which no part is hybridized are, one by one. False is for blocks that cannot be.
    recompute : bool or sequence of bool, default False
        Whether a stage, or each of the stages, keeps of its forward units no more than their inputs, states and random
        draws, and runs them again for their backward units (Chen et al. 2016): less memory for more time. Gradients
        are the same bits on CPU contexts. docs/pipeline.md says what layers must be like for it.

    Raises
    ------
    ValueError
        If the layers are not a chain, the plan does not place every layer exactly once, its contexts do not suit the
        schedule, an option is none of those above, a layer cannot run in time chunks, a parameter is sparse, or another
        open pipeline has it elsewhere.

    Notes
    -----
    A step's gradients are those of the whole batch, written or added as each parameter's ``grad_req`` says.

    Examples
    --------
    >>> pipe = Pipeline(chain, Plan((3, 5), (mx.cpu(0), mx.cpu(1))), loss, num_microbatches=4)
    >>> pipe.initialize()
    >>> trainer = Trainer(pipe, "adam", {"learning_rate": 1e-3})
    >>> total = pipe.forward_backward((src, src_len, tgt), (labels, tgt_len))
    >>> trainer.step(num_tokens)
    """

    def __init__(self, chain: Any, plan: Plan, loss: Optional[Callable] = None, num_microbatches: int = 1,
                 num_chunks: int = 1, schedule: str = "1f1b", layout: str = "NTC", reduction: str = "sum",
                 hybridize: bool = True, recompute: Union[bool, Sequence[bool]] = False) -> None:
        check_options(loss, num_microbatches, num_chunks, schedule, layout, reduction)
        chain = as_chain(chain)
        if num_chunks > 1:
            check_chunkable(chain._children)
        check_layouts(chain._children, layout, loss)
        super().__init__(chain, plan, loss, reduction, schedule)
        self.num_microbatches, self.num_chunks = num_microbatches, num_chunks
        self.schedule, self.layout, self.reduction, self.hybridize = schedule, layout, reduction, hybridize
        self.recompute = for_each_stage(recompute, plan)
        if schedule == "continuous" and any(self.recompute):
            raise ValueError("a continuous pipeline's backward units would compute again with the next step's weights; "
                             "use recompute=False, or another schedule")
        for stage, again in zip(self.stages, self.recompute):
            stage.recompute = again
        self._steps = Continuous() if schedule == "continuous" else OneByOne()
        self._timeline: Optional[Timeline] = None
        self._watchdog: Optional[Watchdog] = None
        self._threads = StageThreads(len(self.stages))

    def timeline(self) -> Timeline:
        """Returns a recording of when each unit really runs, until its ``stop()`` or the end of its ``with`` block."""
        self._timeline = Timeline(self.plan.contexts, self.schedule)
        return self._timeline

    def watchdog(self, seconds: float, stalled: Callable[[str], None]) -> Watchdog:
        """Let ``stalled`` be called in a thread of its own when nothing of a step has come further for some time.

        Parameters
        ----------
        seconds : float
            How long; a first step is traced and may take longer than others.
        stalled : callable
            Takes the place where the step is stuck, in words. What waits for the step cannot be woken: to end the
            program is ``os._exit``.

        Returns
        -------
        Watchdog
            It watches until its ``stop()`` or the end of its ``with`` block.

        Raises
        ------
        ValueError
            If ``seconds`` are not positive.
        """
        self._watchdog = Watchdog(seconds, stalled)
        return self._watchdog

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
        if autograd.is_recording():
            raise RuntimeError("a pipeline's call is not recorded, so that backward() could not go through it; leave "
                               "autograd.record() out and call forward_backward, which does both passes")
        if label is not None:
            self._check_loss()
        return self._execute(data, label, states, training=False)

    def _check_loss(self) -> None:
        if self.stages[-1].loss is None:
            raise RuntimeError("this pipeline has no loss; give Pipeline(..., loss=...) to train or evaluate with it")

    def _execute(self, data: Data, label: Optional[Data], states: Optional[States], training: bool) -> Any:
        """One step, in the first stage's thread."""
        if not training:
            self.flush()
        return self._call(self._run, data, label, states, training)

    def _call(self, function: Callable, *args: Any) -> Any:
        """What a function, given what issues a turn, returns in the first stage's thread; Ctrl-C stops the turn between
        two units."""
        begun: List[Turn] = []

        def issue(turn: Turn) -> int:
            begun.append(turn)
            return self._issue(turn)

        def stop() -> None:
            for turn in begun:
                turn.stop()

        return self._threads.call(function, issue, *args, interrupted=stop,
                                  doing=lambda: "".join(turn.doing() for turn in begun))

    def _run(self, issue: Issue, data: Data, label: Optional[Data], states: Optional[States], training: bool) -> Any:
        self.look()
        feed = Feed.of(data, label, self.layout, self.num_microbatches, self.num_chunks, training)
        carrying = states is not None or len(feed.steps) > 1
        for stage in self.stages:
            stage.trace(carrying, self.hybridize)
        stateful = [stage.stateful for stage in self.stages]
        pieces = cut_states(states or self.begin_state(sum(feed.rows)), stateful, feed.rows) if carrying else None
        notes = self._timeline.step() if self._timeline and self._timeline.recording else None
        drawing = training or autograd.is_training()
        step = Step(self.schedule, self.plan.contexts, feed, pieces, self._seed if drawing else None, notes)
        count = self._steps.step(step, self.parameter_contexts, issue) if training else issue(Turn.whole(step))
        self._seed = None if drawing else self._seed
        outputs = step.results("F")
        result = feed.join(outputs) if feed.labels is None else Loss.of(
            [loss for packed in outputs.values() for loss in packed.arrays], self._probes, count)
        return result if states is None else (result, join_states(step.states(), stateful, len(feed.rows)))

    def _issue(self, turn: Turn) -> int:
        """Issue a turn; returns how many there have been."""
        if self._watchdog:
            self._watchdog.begin(turn)
        try:
            self.issue(turn)
        finally:
            if self._watchdog:
                self._watchdog.end()
        count, issued = self._probes.add(turn.probes(), self.plan.contexts)
        if self._watchdog:
            self._watchdog.issued(issued)
        return count

    def issue(self, turn: Turn) -> None:
        """Let every stage's thread issue its units of a ``turn``; called once a step.

        A hook: a subclass may issue them in another way, ``step.begin(self.stages[unit.stage])`` and then
        ``step.issue(unit)`` for all in ``turn.order``, or in another order in which each comes after what it needs.
        """
        turn.run(self.stages, self._threads.others)

    def update(self, make: Callable[[], Any]) -> Any:
        """Let a trainer ``make`` its update of the latest step, at once or, of a continuous pipeline, when it asks for
        the next one; returns what was made returns, or None if nothing was."""
        return self._steps.update(make, self.parameter_contexts)

    def flush(self) -> None:
        """Issue and update all that a continuous pipeline has under way; other schedules leave nothing.

        Forward calls, saving and loading, and the end of the pipeline do so by themselves. It does not wait.

        Raises
        ------
        RuntimeError
            If parameters were frozen, thawed, moved or cast since the last update was asked for.
        """
        if self.schedule == "continuous" and not self._threads.closed:
            self._call(self._steps.finish)
            self._steps.make(self.parameter_contexts)

    def close(self) -> None:
        """Wait for a call that is under way, and leave threads and parameters to others; no call can follow."""
        try:
            self.flush()
        finally:
            self._threads.close()
            self.release()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exc: Any) -> None:
        if exc[0]:
            self._steps.drop()
        self.close()
