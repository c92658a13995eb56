"""Every public block of mxmp.nn, how it is made and what it is given: the tests of what all blocks have in common."""
from dataclasses import dataclass
from typing import Callable

import mxnet as mx
import numpy as np

from helpers.plain import uniform
from mxmp import nn

STEPS, ROWS, WIDTH, SIZE, TOKENS = 5, 3, 4, 6, 9  # T, N, C, H, V


@dataclass(frozen=True)
class Case:
    """``make(width, **kwargs)`` gives the block, with width 0 one that takes its width from the first input;
    ``inputs(steps, rows)`` what it is called with."""

    make: Callable
    inputs: Callable
    recurrent: bool = False  # takes states, too
    wraps: bool = False  # names nothing itself: its parameters are those of the blocks that it is given


def sequence(seed=1, width=WIDTH):
    return lambda steps, rows: [uniform(steps, rows, width, seed=seed)]


def sequences(steps, rows):
    return sequence(1)(steps, rows) + sequence(2)(steps, rows)


def lengths(steps, rows):
    return 1 + np.arange(rows) % steps


def tokens(steps, rows):
    return np.arange(steps * rows).reshape(rows, steps) % TOKENS


def make_chain(width, **kwargs):
    chain = nn.Chain(**kwargs)
    with chain.name_scope():
        chain.add_named("bottom", nn.Select(nn.LSTMLayer(WIDTH, input_size=width), take=(0,), keep=(1,)))
        chain.add_named("top", nn.Select(nn.ContextLSTM(SIZE, input_size=2 * width), take=(0, 1)))
    return chain


CASES = {
    "AttentionalOutput": Case(lambda width, **kwargs: nn.AttentionalOutput(SIZE, in_units=2 * width, **kwargs),
                              sequences),
    "BidirectionalLSTM": Case(lambda width, **kwargs: nn.BidirectionalLSTM(SIZE, input_size=width, **kwargs),
                              lambda steps, rows: sequence()(steps, rows) + [lengths(steps, rows)]),
    "Chain": Case(make_chain, sequences, wraps=True),
    "ContextLSTM": Case(lambda width, **kwargs: nn.ContextLSTM(SIZE, input_size=2 * width, **kwargs), sequences,
                        recurrent=True),
    "LSTMLayer": Case(lambda width, **kwargs: nn.LSTMLayer(SIZE, input_size=width, **kwargs), sequence(),
                      recurrent=True),
    "LabelSmoothedLoss": Case(lambda width, **kwargs: nn.LabelSmoothedLoss(0.1, **kwargs),
                              lambda steps, rows: [*sequence(width=TOKENS)(steps, rows), tokens(steps, rows),
                                                   lengths(steps, rows)]),
    "MaskedAttention": Case(lambda width, **kwargs: nn.MaskedAttention(SIZE, width, **kwargs),
                            lambda steps, rows: [*sequence()(steps, rows), *sequence(2, SIZE)(steps + 1, rows),
                                                 lengths(steps + 1, rows)]),
    "Projection": Case(lambda width, **kwargs: nn.Projection(TOKENS, width, **kwargs), sequence()),
    "RecurrentLayer": Case(lambda width, **kwargs: nn.RecurrentLayer(0, SIZE, **kwargs), sequence(), recurrent=True),
    "Residual": Case(lambda width, **kwargs: nn.Residual(nn.LSTMLayer(WIDTH, input_size=width), **kwargs), sequence(),
                     recurrent=True, wraps=True),
    "Select": Case(lambda width, **kwargs: nn.Select(nn.ContextLSTM(SIZE, input_size=2 * width), (1, 0), (0,),
                                                     **kwargs), sequences, recurrent=True, wraps=True),
    "SequenceEmbedding": Case(lambda width, **kwargs: nn.SequenceEmbedding(TOKENS, SIZE, **kwargs),
                              lambda steps, rows: [tokens(steps, rows)]),
    "StackedLSTM": Case(lambda width, **kwargs: nn.StackedLSTM(SIZE, 2, input_size=width, **kwargs), sequence(),
                        recurrent=True),
    "TimeFirst": Case(lambda width, **kwargs: nn.TimeFirst(**kwargs), sequence()),
}
ELSEWHERE = {"ShardedSoftmaxLoss": "its parameters stay where they were placed; test_sharded",
             "StatefulBlock": "has no forward of its own; test_stateful"}
RECURRENT = [name for name, case in CASES.items() if case.recurrent]
HYBRID = [name for name in CASES if issubclass(getattr(nn, name), mx.gluon.HybridBlock)]
FORMS = ["alone", "inside a block", "in a sequence"]
USES = [(name, form) for name, case in CASES.items() for form in FORMS  # a sequence hands on one array
        if form != "in a sequence" or len(case.inputs(STEPS, ROWS)) == 1]


class Around(mx.gluon.HybridBlock):
    """A user's block with the block inside."""

    def __init__(self, block):
        super().__init__()
        self.inner = block

    def hybrid_forward(self, F, *args):
        return self.inner(*args)


class AroundAnyBlock(mx.gluon.Block):
    """The same for blocks that are not hybrid."""

    def __init__(self, block):
        super().__init__()
        self.inner = block

    def forward(self, *args):
        return self.inner(*args)


def within(form, block):
    """The block as people use it."""
    hybrid = isinstance(block, mx.gluon.HybridBlock)
    if form == "inside a block":
        return Around(block) if hybrid else AroundAnyBlock(block)
    if form == "in a sequence":
        sequence = (mx.gluon.nn.HybridSequential if hybrid else mx.gluon.nn.Sequential)()
        sequence.add(block)
        return sequence
    return block


def states_for(name, rows):
    """Numbers for the block's states."""
    return [uniform(*state.shape, seed=10 + i) for i, state in enumerate(CASES[name].make(WIDTH).begin_state(rows))]


def with_states(net, inputs):
    """The net as a function of all arrays, the last ones of which are its states."""
    return lambda *arrays: net(*arrays[:inputs], list(arrays[inputs:]))
