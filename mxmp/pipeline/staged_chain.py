"""A chain on its contexts: its stages, its parameters, their first values and their files."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple
from weakref import WeakSet

import mxnet as mx
from mxnet.gluon import Parameter, ParameterDict

from ..nn.chain import as_chain
from ..planning import Plan
from ..schedule import SCHEDULES, rows_of_stages
from . import parameters
from .checks import check_dense, check_plan, check_unshared
from .errors import Probes
from .stage import Stage
from .states import States


class StagedChain:
    """The layers of a chain on the contexts of a plan; what a `Pipeline` is besides running.

    Parameters
    ----------
    chain : Chain, gluon.nn.Sequential or sequence of Block
        The layers.
    plan : Plan
        Layers per context.
    loss : callable or None
        What the last stage ends with.
    reduction : str, default "sum"
        "sum" or "mean", of the loss over the batch's rows.
    schedule : str, default "1f1b"
        In each of its rows, units will run one after the other.

    Attributes
    ----------
    stages : list of Stage
        One for each context of the plan.

    Raises
    ------
    ValueError
        If the layers are not a chain, the plan does not place every layer exactly once, its contexts do not suit the
        schedule, a parameter is sparse, or it is on another context in another chain that is still in use.
    """

    def __init__(self, chain: Any, plan: Plan, loss: Optional[Callable] = None, reduction: str = "sum",
                 schedule: str = "1f1b") -> None:
        self.chain, self.plan = as_chain(chain), plan
        layers = list(self.chain._children.items())
        check_plan(plan, len(layers))
        rows = rows_of_stages(SCHEDULES[schedule](plan.contexts, 1, 1))
        losses = [None] * (len(plan.counts) - 1) + [loss]
        self.stages = [Stage(i, dict(layers[run.start:run.stop]), context, own_loss, reduction)
                       for i, (context, run, own_loss) in enumerate(zip(plan.contexts, plan.ranges, losses))]
        for stage, row in zip(self.stages, rows):
            stage.dependency = self.stages[rows.index(row)].dependency
        check_dense(self.parameter_contexts)
        check_unshared(self.parameter_contexts, _in_use)
        self._seed: Optional[Tuple[int, int]] = None
        self._probes = Probes()
        _in_use.add(self)
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

        Without a `seed` the stages' random numbers are drawn from the calling thread's generator, too.

        Parameters
        ----------
        init : Initializer or None
            For parameters without one of their own; None is ``mx.init.Uniform()``.
        force_reinit : bool, default False
            Whether parameters that have values get new ones.
        """
        self.flush()
        parameters.initialize(self.parameter_contexts, init, force_reinit)
        parameters.move_to(self.parameter_contexts)
        self._seed = self._seed or (parameters.draw_seed(), 0)

    def flush(self) -> None:
        """Make what is yet to be made of the parameters' latest values."""

    def wait(self) -> None:
        """Wait until all that was issued is there; an error that MXNet finds is raised here with its place."""
        self._probes.check()

    def save_parameters(self, path: str) -> None:
        """Write the chain's parameters to ``path``, which its own ``load_parameters`` reads too; waits for them.

        A loss's own parameters are added as ``loss.NAME``. The file appears whole, or the older one stays.

        Raises
        ------
        OSError
            If it cannot be written; one line with the path and the cause.
        MXNetError, RuntimeError
            If an operator of a step has failed that nobody has waited for.
        """
        self.flush()
        self.wait()
        parameters.save(path, self.chain, self.stages[-1].loss_blocks)

    def load_parameters(self, path: str) -> None:
        """Read parameters that this pipeline or its chain wrote to ``path``, under any plan.

        Raises
        ------
        ValueError
            If the file is another model's.
        """
        self.flush()
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
        """Fix the next training step's random numbers; later steps go on. ``mx.random.seed`` reaches no stage's thread.

        Each stage has a seed of its own, made of ``seed``, of ``step``, a number from 0 that tells a run's steps apart,
        and of the stage (numpy's ``SeedSequence``, so that no two of them are alike); its units draw in their order.
        """
        self._seed = seed, step

    def look(self) -> None:
        """Take the blocks' parameters as they are now, on their contexts; called at every step.

        Raises
        ------
        RuntimeError
            If the chain has got other layers.
        """
        layers = [layer for stage in self.stages for layer in stage.layers.values()]
        if list(self.chain._children.values()) != layers:
            raise RuntimeError("the chain has other layers than when this pipeline was made; make a new one, with a "
                               "plan for these")
        for stage in self.stages:
            stage.look()
        parameters.move_to(self.parameter_contexts)

    def release(self) -> None:
        """Let other plans have the parameters."""
        _in_use.discard(self)


_in_use: WeakSet = WeakSet()  # those that may be called yet


def open_chains() -> List[StagedChain]:
    """Those that were not closed."""
    return list(_in_use)
