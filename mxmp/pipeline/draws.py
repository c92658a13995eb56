"""What random operators draw in a forward unit, kept for when the unit is run again."""
from __future__ import annotations

import ctypes
import re
from collections import deque
from contextlib import contextmanager
from functools import lru_cache
from threading import local
from typing import Any, Deque, Dict, Iterator, Mapping, Optional, Sequence, Tuple

import mxnet as mx
from mxnet import autograd
from mxnet.base import _LIB, c_str, check_call
from mxnet.ndarray import register

_SOMETIMES = ("Dropout", "LeakyReLU", "RNN")  # by their attributes
_PREFIXES = ("_random_", "_sample_", "_shuffle", "_image_random_", "_npi_random_")
_NUMPYS = ("bernoulli", "choice", "exponential", "gamma", "gumbel", "logistic", "multinomial", "normal", "normal_n",
           "pareto", "rayleigh", "shuffle", "uniform", "uniform_n", "weibull")


class Draws:
    """What a unit's random operators drew, in their order.

    A generator's state can be neither read nor set in MXNet 1.9.1 but by a seed, which cpu(0) carries out after
    whatever it is working on. So the numbers themselves are kept: the factors of Dropout, and what operators without
    inputs gave. Others are refused by name.
    """

    def __init__(self) -> None:
        self._drawn: Deque[Any] = deque()
        self.again = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Work in training mode, without a graph, and keep what is drawn."""
        with autograd.pause(train_mode=True), self._used():
            yield

    @contextmanager
    def given(self) -> Iterator[None]:
        """Work with what was kept, all of it."""
        self.again = True
        with self._used():
            yield
        if self._drawn:
            raise _differs("less")

    @contextmanager
    def _used(self) -> Iterator[None]:
        _thread.draws = self
        try:
            yield
        finally:
            _thread.draws = None

    def keep(self, drawn: Any) -> Any:
        """Take what an operator drew; returns it."""
        self._drawn.append(drawn)
        return drawn

    def take(self) -> Any:
        """What the operator drew the first time."""
        if not self._drawn:
            raise _differs("more")
        return self._drawn.popleft()


_thread = local()


def current_draws() -> Optional[Draws]:
    """Those of the unit that the calling thread works on, if it is one that runs twice."""
    draws = getattr(_thread, "draws", None)
    return draws if draws is not None and autograd.is_training() else None


def _differs(how: str) -> RuntimeError:
    return RuntimeError(f"a layer drew {how} random numbers when it was run again for its backward pass than the first "
                        "time; let it draw the same in each call, or use recompute=False for its stage")


@lru_cache(maxsize=None)
def random_operators() -> Dict[str, Optional[int]]:
    """The operators that draw, or may, with their handles."""
    names = [name for name in mx.operator.get_all_registered_operators()
             if name.startswith(_PREFIXES) and "_pdf_" not in name]
    handles: Dict[str, Optional[int]] = {}
    for name in [*names, *(f"_npi_{name}" for name in _NUMPYS), *_SOMETIMES]:
        handle = ctypes.c_void_p()
        check_call(_LIB.NNGetOpHandle(c_str(name), ctypes.byref(handle)))
        handles[name] = handle.value
    return handles


@lru_cache(maxsize=None)
def _names() -> Dict[Optional[int], str]:
    return {handle: name for name, handle in random_operators().items()}


def check_draws(op: str, attrs: Mapping[str, str], num_inputs: int) -> bool:
    """Whether an operator draws; a ValueError says if what it draws cannot be given to it again."""
    if op == "Dropout":
        return float(attrs.get("p", 0.5)) > 0
    refused = num_inputs > 0 and not op.endswith("_like")
    if op == "RNN":
        refused = float(attrs.get("p", 0)) > 0 and int(attrs.get("num_layers", 1)) > 1
    elif op == "LeakyReLU":
        refused = attrs.get("act_type") == "rrelu"
    if refused:
        raise ValueError(f"the operator {op} draws random numbers of its own, which recomputation cannot give to it "
                         "again; use Dropout (between recurrent layers), random numbers that depend on no input, or "
                         "recompute=False for its stage")
    return op not in _SOMETIMES


def axes_of(attrs: Mapping[str, str]) -> Tuple[int, ...]:
    """The axes along which Dropout's factors are the same."""
    # ast.literal_eval fails now and then in several threads at once, in Python 3.11
    return tuple(map(int, re.findall(r"-?\d+", attrs.get("axes", ""))))


def watch_operators() -> None:
    """Let random operators that are called on arrays, in whatever block, keep what they draw in such units."""
    register._imperative_invoke = _invoke


_invoke_plainly = register._imperative_invoke  # what all operators on arrays are called by


def _invoke(handle: int, arrays: Sequence[Any], keys: Sequence[str], values: Sequence[Any], out: Any,
            *form: bool) -> Any:
    """MXNet's own function, but for random operators in a unit that runs twice."""
    draws = current_draws()
    op = _names().get(handle) if draws is not None else None
    attrs = {key: str(value) for key, value in zip(keys, values)} if op else {}
    if draws is None or op is None or not check_draws(op, attrs, len(arrays)):
        return _invoke_plainly(handle, arrays, keys, values, out, *form)
    shaped = [_ones(arrays[0].as_nd_ndarray(), attrs)] if op == "Dropout" else arrays
    drawn = draws.take() if draws.again else draws.keep(_invoke_plainly(handle, shaped, keys, values, None, *form))
    result = arrays[0] * drawn if op == "Dropout" else drawn.copy()  # a layer may write to what it got
    if out is None:
        return result
    out[:] = result
    return out


def _ones(data: mx.nd.NDArray, attrs: Mapping[str, str]) -> mx.nd.NDArray:
    """As many ones as Dropout draws factors for the data; of them it makes these factors."""
    for axis in axes_of(attrs):
        data = data.slice_axis(axis, 0, 1)
    return mx.nd.ones(data.shape, data.context, data.dtype)
