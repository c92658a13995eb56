"""One gluon.Trainer per context under one face, with clipping by the global norm over all of them."""
from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import mxnet as mx
from mxnet.gluon import Parameter

from .optimizer_file import load_states, save_states
from .pipeline import Pipeline


class Trainer:
    """Update a pipeline's parameters.

    ``gluon.Trainer`` insists that all its parameters live on one list of contexts, so there is one for each
    list: one per stage and, where layers of different stages share a Parameter, one more that first adds up
    its copies' gradients.

    Parameters
    ----------
    pipe : Pipeline
        Its parameters must have been initialized.
    optimizer : str or Optimizer
        Name of an MXNet optimizer, or one, of which each stage gets a copy.
    optimizer_params : dict or None
        The named optimizer's arguments.
    clip_norm : float or None
        Largest allowed norm of all gradients together, after division by the batch size.

    Attributes
    ----------
    trainers : list of gluon.Trainer
        One for each list of contexts.

    Raises
    ------
    ValueError
        If ``clip_norm`` is not positive, or a shared parameter lives on contexts such as cpu(0) and gpu(0).
    """

    def __init__(self, pipe: Pipeline, optimizer: Union[str, mx.optimizer.Optimizer],
                 optimizer_params: Optional[Dict[str, Any]] = None,
                 clip_norm: Optional[float] = None) -> None:
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"clip_norm must be positive, got {clip_norm}")
        self._clip_norm = clip_norm
        self._last = pipe.stages[-1].context
        groups: Dict[Tuple, List[Parameter]] = {}
        for parameter, contexts in pipe.parameter_contexts.items():
            groups.setdefault(tuple(contexts), []).append(parameter)
        self.trainers = [mx.gluon.Trainer(parameters, deepcopy(optimizer), deepcopy(optimizer_params),
                                          kvstore="device" if len(contexts) > 1 else None, update_on_kvstore=False)
                         for contexts, parameters in groups.items()]
        self._groups = list(groups.items())
        for shared in groups:
            check_device_ids(shared)
        self._names = pipe.parameter_names

    @property
    def learning_rate(self) -> float:
        """The learning rate in force."""
        return self.trainers[0].learning_rate

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set every stage's learning rate to ``learning_rate``."""
        for trainer in self.trainers:
            trainer.set_learning_rate(learning_rate)

    def step(self, batch_size: float) -> Optional[mx.nd.NDArray]:
        """Divide the gradients by ``batch_size`` (rows or tokens), clip them, and update every parameter.

        Returns
        -------
        NDArray or None
            The global norm of the divided gradients before clipping, shape (1,), on the last context; it may
            still be being computed. None without ``clip_norm``.
        """
        norm = None
        for trainer in self.trainers:
            trainer.allreduce_grads()
        if self._clip_norm is not None:
            norm = self._clip(batch_size)
        for trainer in self.trainers:
            trainer.update(batch_size, ignore_stale_grad=True)
        return norm

    def save_states(self, path: str) -> None:
        """Write the optimizer's states to ``path``, one file; waits for them."""
        save_states(path, self.trainers, self._names)

    def load_states(self, path: str) -> None:
        """Read states that `save_states` wrote to ``path``, under this plan or another.

        Raises
        ------
        ValueError
            If the file has states of other parameters, or not of all.
        """
        load_states(path, self.trainers, self._names)

    def _clip(self, batch_size: float) -> mx.nd.NDArray:
        """Scale all gradients by min(1, clip_norm / norm); each context sums its own squares, nothing waits."""
        squares = []
        for contexts, parameters in self._groups:
            by_type: Dict[Any, List[mx.nd.NDArray]] = {}
            for parameter in parameters:
                if parameter.grad_req != "null":
                    by_type.setdefault(parameter.dtype, []).append(parameter.grad(contexts[0]))
            for grads in by_type.values():
                total = mx.nd.multi_sum_sq(*grads, num_arrays=len(grads)).sum()  # float32, whatever the gradients are
                squares.append(total.as_in_context(self._last))
        norm = mx.nd.sqrt(mx.nd.add_n(*squares)) / batch_size
        scale = mx.nd.minimum(1.0, self._clip_norm / (norm + 1e-12))
        scales = {self._last: scale}
        for contexts, parameters in self._groups:
            for context in contexts:
                if context not in scales:
                    scales[context] = scale.as_in_context(context)
                for grad in (p.grad(context) for p in parameters if p.grad_req != "null"):
                    grad *= scales[context].astype(grad.dtype, copy=False)
        return norm


def check_device_ids(contexts: Sequence[mx.Context]) -> None:
    """Refuse copies on contexts of one number: MXNet's optimizers count a copy's updates by that number alone."""
    ids = [context.device_id for context in contexts]
    if len(set(ids)) < len(ids):
        raise ValueError(f"a parameter is shared by layers on {', '.join(map(str, contexts))}, whose numbers MXNet's "
                         "optimizers cannot tell apart; give each context a number of its own, as cpu(1),gpu(0)")
