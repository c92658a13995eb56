"""gluon.Trainer for parameters on different contexts, with clipping by the norm of all gradients together."""
from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import mxnet as mx
from mxnet.gluon import Block, Parameter

from .checks import check_at_once, check_trainer_options
from .finite import SkippingAdam, Undo, arrays_of, on
from .one_optimizer import apply, check_cut, check_skippable, in_order
from .optimizer_file import load_states, save_states
from .parameters import names_in, nonfinite, nonfinite_parameters
from .pipeline import Pipeline
from .staged_chain import open_chains


class Trainer(mx.gluon.Trainer):
    """Update the parameters of a pipeline, or of any block, on whatever contexts they live.

    ``gluon.Trainer`` insists that all its parameters live on one list of contexts; this one is a ``gluon.Trainer``
    without that limit, and docs/trainer.md compares the two argument by argument. One optimizer updates all
    parameters, in the order of their names, so that schedules and numbers of updates are plain Gluon's under every
    plan. A parameter with copies on several contexts is updated once, on the first of them, by the sum of the
    copies' gradients.

    Parameters
    ----------
    model : Pipeline or Block
        Its parameters must have been initialized.
    optimizer : str or Optimizer
        Name of an MXNet optimizer, or one; it and its learning rate scheduler are used as they are, not copied.
    optimizer_params : dict or None
        The named optimizer's arguments.
    kvstore : str or None, default 'device'
        'device', 'local' or None, which are all the same: copies are added up without a kvstore.
    compression_params : dict or None
        None, as nothing is compressed.
    update_on_kvstore : bool or None
        False or None, as there is no kvstore.
    clip_norm : float or None
        Largest allowed norm of all gradients together, after division by the batch size.
    skip_nonfinite : bool, default False
        Whether an update is skipped whose gradients, or whose loss as given to `step`, are NaN or infinite, or whose
        squares add up to infinity: parameters and states of the optimizer stay bit by bit what they were, and nothing
        waits. What an optimizer counts (updates, and so Adam's t and a scheduler's step) goes on.

    Raises
    ------
    ValueError
        If an argument is none of those above, an optimizer that looks at whole parameters (LAMB, LARS, LBSGD, Nadam)
        is to update one whose rows are spread over contexts, or updates of LBSGD with a ``batch_scale`` are to be
        skipped.
    """

    def __init__(self, model: Union[Pipeline, Block], optimizer: Union[str, mx.optimizer.Optimizer],
                 optimizer_params: Optional[Dict[str, Any]] = None, kvstore: Optional[str] = "device",
                 compression_params: Optional[Dict[str, Any]] = None, update_on_kvstore: Optional[bool] = None,
                 clip_norm: Optional[float] = None, skip_nonfinite: bool = False) -> None:
        check_trainer_options(kvstore, compression_params, update_on_kvstore, clip_norm)
        self._clip_norm, self._skip = clip_norm, skip_nonfinite
        self._pipe = model if isinstance(model, Pipeline) else None
        self._names = self._pipe.parameter_names if self._pipe else names_in(model)
        if not self._pipe:
            check_at_once(self._names, open_chains())
        super().__init__(in_order(self._names), optimizer, optimizer_params, kvstore=None)
        self._last = model.stages[-1].context if isinstance(model, Pipeline) else \
            [mx.cpu(), *(parameter.list_ctx()[0] for parameter in self._names)][-1]
        check_cut(self._optimizer, self._names.values())
        if skip_nonfinite:
            check_skippable(self._optimizer)
        self._skipped = mx.nd.zeros(2, self._last)

    @property
    def skipped(self) -> mx.nd.NDArray:
        """How many updates were skipped, and how many of them in a row up to the latest one, shape (2,); it may still
        be being computed."""
        return self._skipped

    def step(self, batch_size: float, ignore_stale_grad: bool = False,
             loss: Optional[mx.nd.NDArray] = None) -> Optional[mx.nd.NDArray]:
        """Add up the gradients of copies, divide by ``batch_size`` (rows or tokens), clip, and update every parameter.

        Parameters
        ----------
        batch_size : float
            What the gradients are divided by; they are multiplied by the optimizer's own ``rescale_grad``, too.
        ignore_stale_grad : bool, default False
            Whether parameters that no backward pass has reached since their last update are left as they are.
        loss : NDArray or None
            With ``skip_nonfinite`` what must be finite, too, for the update to be made; it is not waited for.

        Returns
        -------
        NDArray or None
            The global norm of the divided gradients before clipping, shape (1,), on the last context; it may
            still be being computed. None without ``clip_norm`` and ``skip_nonfinite``.

        Raises
        ------
        UserWarning
            As of ``gluon.Trainer``, if there is such a parameter; then none is updated.
        """
        def make() -> Optional[mx.nd.NDArray]:
            self._fresh(ignore_stale_grad)  # a step that is refused has added nothing up, and can be asked for again
            self._add_copies()
            return self._update(batch_size, ignore_stale_grad, loss)

        made = self._pipe.update(make) if self._pipe else make()
        return mx.nd.zeros(1, self._last) if made is None and (self._clip_norm or self._skip) else made

    def allreduce_grads(self) -> None:
        """Give all copies of a parameter the sum of their gradients; the first half of `step`."""
        self._check_halves()
        self._add_copies()

    def _add_copies(self) -> None:
        for parameter in self._params:
            grads = _grads(parameter) if parameter.grad_req != "null" else []
            if len(grads) > 1:
                total = mx.nd.add_n(*[grad.as_in_context(grads[0].context) for grad in grads])
                for grad in grads:
                    total.copyto(grad)

    def update(self, batch_size: float, ignore_stale_grad: bool = False,
               loss: Optional[mx.nd.NDArray] = None) -> Optional[mx.nd.NDArray]:
        """Divide, clip and update; the second half of `step`, whose result and errors it has.

        Parameters
        ----------
        batch_size : float
            As of `step`.
        ignore_stale_grad : bool, default False
            As of `step`.
        loss : NDArray or None
            As of `step`.

        Returns
        -------
        NDArray or None
            As of `step`.
        """
        self._check_halves()
        return self._update(batch_size, ignore_stale_grad, loss)

    def _check_halves(self) -> None:
        if self._pipe and self._pipe.schedule == "continuous":
            raise RuntimeError("a continuous pipeline's updates are made a step late, as a whole; call step")

    def _update(self, batch_size: float, ignore_stale_grad: bool,
                loss: Optional[mx.nd.NDArray]) -> Optional[mx.nd.NDArray]:
        fresh = self._fresh(ignore_stale_grad)
        self._check_and_rescale_grad(self._scale / batch_size)
        parameters = [parameter for _, parameter in fresh]
        norm = self._norm(parameters) if self._clip_norm or self._skip else None
        apply(self._updaters[0], [(i, parameter.list_grad()[0], parameter.list_data()[0]) for i, parameter in fresh],
              self._clip(parameters, norm, self._made(norm, loss) if self._skip else None))
        for _, parameter in fresh:
            first, *others = parameter.list_data()
            for copy in others:
                first.copyto(copy)
            for copy in (first, *others):
                copy._fresh_grad = False
        return norm

    def save_states(self, fname: str) -> None:
        """Write the states of the optimizer and of its scheduler to ``fname``, one file; waits for them.

        The file appears whole, or the older one stays.

        Raises
        ------
        OSError
            If it cannot be written; one line with the path and the cause.
        MXNetError, RuntimeError
            If an operator of a step has failed that nobody has waited for.
        ValueError
            If the optimizer or its scheduler holds objects that are neither plain values nor schedulers.
        """
        if self._pipe:
            self._pipe.flush()
            self._pipe.wait()
        save_states(fname, self._optimizer, self._updaters[0].states, self._named())

    def load_states(self, fname: str) -> None:
        """Read states that `save_states` wrote to ``fname``, under this plan or another.

        The optimizer and its scheduler stay the objects that they are, and get the learning rate, the options and the
        numbers of updates of those that were saved.

        Raises
        ------
        ValueError
            If the file belongs to another model, optimizer or kind of scheduler.
        """
        if self._pipe:
            self._pipe.flush()
        self._updaters[0].states = load_states(fname, self._optimizer, self._named())
        self._updaters[0].states_synced = dict.fromkeys(self._updaters[0].states, False)  # moved by the next update

    def nonfinite_gradients(self) -> List[str]:
        """Returns the names of the parameters whose gradients hold NaN or infinity, in the order in which a backward
        pass reaches them, that of the cause first; waits for the gradients."""
        return nonfinite((name, grad) for parameter, name in reversed(list(self._names.items()))
                         if parameter.grad_req != "null" for grad in _grads(parameter)[:1])

    def nonfinite_values(self) -> List[str]:
        """Returns the names of the parameters that hold NaN or infinity, or whose states of the optimizer do, in the
        model's order; waits for them."""
        states = [(f"the optimizer's state of {name}", state) for i, (_, name) in enumerate(self._named())
                  for state in arrays_of(self._updaters[0].states.get(i))]
        return nonfinite_parameters(self._names) + nonfinite(states)

    def _named(self) -> List[Tuple[Parameter, str]]:
        """Every parameter with its name, by the index that the optimizer knows it by."""
        return [(parameter, self._names[parameter]) for parameter in self._params]

    def _fresh(self, ignore_stale_grad: bool) -> List[Tuple[int, Parameter]]:
        """The parameters to update, by index; a UserWarning, Gluon's for that, if any of them has an old gradient."""
        updated = []
        for i, parameter in enumerate(self._params):
            fresh = [data._fresh_grad for data in parameter.list_data()] if parameter.grad_req != "null" else []
            if not all(fresh) and not ignore_stale_grad:
                raise UserWarning(f"no backward pass has reached {self._names[parameter]} since its last update; to "
                                  "leave such parameters as they are, use step(batch_size, ignore_stale_grad=True)")
            if any(fresh):
                updated.append((i, parameter))
        return updated

    def _norm(self, parameters: List[Parameter]) -> mx.nd.NDArray:
        """The norm of all gradients; each context sums its own squares, nothing waits."""
        alike: Dict[Any, List[mx.nd.NDArray]] = {}
        for grad in (_grads(parameter)[0] for parameter in parameters):
            alike.setdefault((grad.context, grad.dtype), []).append(grad)
        squares = [mx.nd.zeros(1, self._last)]
        for grads in alike.values():
            total = mx.nd.multi_sum_sq(*grads, num_arrays=len(grads)).sum()  # float32, whatever the gradients are
            squares.append(total.as_in_context(self._last))
        return mx.nd.sqrt(mx.nd.add_n(*squares)) * abs(self._optimizer.rescale_grad)

    def _made(self, norm: mx.nd.NDArray, loss: Optional[mx.nd.NDArray]) -> mx.nd.NDArray:
        """1 if the update is to be made and 0 if it is skipped, which is counted."""
        number = norm if loss is None else norm + 0 * loss.as_in_context(self._last).astype("float32").sum()
        made = number < math.inf  # NaN is not, either
        bad = 1 - made
        # the second number goes on only where this one is bad, too
        self._skipped = mx.nd.broadcast_add(self._skipped * mx.nd.concat(mx.nd.ones_like(bad), bad, dim=0), bad)
        return made

    def _clip(self, parameters: List[Parameter], norm: Optional[mx.nd.NDArray],
              made: Optional[mx.nd.NDArray]) -> Optional[Callable]:
        """Scale all gradients by min(1, clip_norm / norm); returns what updates only where that is ``made``."""
        scale = mx.nd.minimum(1.0, self._clip_norm / (norm + 1e-12)) if self._clip_norm and norm is not None else None
        if made is not None and SkippingAdam.does(self._optimizer, parameters):
            return SkippingAdam(self._optimizer, made if scale is None else made * scale)
        if scale is not None and made is not None:
            scale = mx.nd.where(made, scale, mx.nd.ones_like(scale))  # NaN times them would hide which were bad
        scales = {self._last: scale}
        for grad in (grad for parameter in parameters for grad in _grads(parameter) if scale is not None):
            grad *= on(scales, grad.context).astype(grad.dtype, copy=False)
        return None if made is None else Undo(made)

    def _check_contexts(self) -> List[mx.Context]:
        """Gluon makes an updater for each of the contexts that this returns; one serves them all."""
        return [parameter.list_ctx()[0] for parameter in self._params][:1]

    @property
    def _amp_loss_scaler(self) -> None:
        """What ``amp.init_trainer`` sets."""

    @_amp_loss_scaler.setter
    def _amp_loss_scaler(self, scaler: Any) -> None:
        raise RuntimeError("AMP's loss scaling works on one context, and not inside of a pipeline; multiply by a "
                           "constant in the loss itself, and give the optimizer rescale_grad=1/constant")


def _grads(parameter: Parameter) -> List[mx.nd.NDArray]:
    """The gradients of a parameter's copies, also where they are arrays of MXNet's NumPy, which NDArray's operators
    refuse."""
    return [grad.as_nd_ndarray() for grad in parameter.list_grad()]
