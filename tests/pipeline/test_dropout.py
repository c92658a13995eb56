"""Dropout's random numbers: fixed by the seed, whatever the schedule."""
import itertools

import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, pipelined, random_values
from mxnet import gluon

from mxmp import Trainer
from mxmp.nn import Chain, LSTMLayer
from mxmp.pipeline.step import stage_seed

CUTS = [(1, 1), (3, 1), (1, 3), (3, 2)]
COUNTS = [(5,), (2, 3), (1, 1, 2, 1)]


def chain_with(dropout):
    """Layers that drop out in every stage of every plan, as Gluon's own does and as `LSTMLayer` does."""
    chain = Chain()
    chain.add(LSTMLayer(4, dropout, input_size=4), gluon.nn.Dropout(dropout), LSTMLayer(4, dropout, input_size=4),
              LSTMLayer(4, dropout, input_size=4), gluon.nn.Dense(3, flatten=False, in_units=4))
    return chain


def trained(dropout, counts, schedule, microbatches, chunks, seeds=(0, 1, 2), contexts=CONTEXTS):
    """Loss of every step and all parameters after it."""
    rng, chain, found = np.random.RandomState(0), chain_with(dropout), {}
    data, labels = mx.nd.array(rng.randn(6, 7, 4)), mx.nd.array(rng.randn(6, 7, 3))
    with pipelined(chain, random_values(chain), gluon.loss.L2Loss(batch_axis=1), counts, microbatches,
                   num_chunks=chunks, schedule=schedule, layout="TNC", contexts=contexts) as pipe:
        trainer = Trainer(pipe, "sgd", {"learning_rate": 0.5, "momentum": 0.9})
        for i, seed in enumerate(seeds):
            pipe.seed(seed)
            found[f"loss {i}"] = pipe.forward_backward(data, labels).asnumpy()
            trainer.step(7)
    return {**found, **{name: p.data(p.list_ctx()[0]).asnumpy()
                        for name, p in chain._collect_params_with_prefix().items()}}


@pytest.mark.parametrize("microbatches, chunks", CUTS)
@pytest.mark.parametrize("schedule", ["fill_drain", "1f1b", "wavefront"])
def test_the_same_seeds_give_the_same_bits(schedule, microbatches, chunks):
    first, second = (trained(0.3, COUNTS[2], schedule, microbatches, chunks) for _ in range(2))
    assert_same(second, first, rtol=0, atol=0)


@pytest.mark.parametrize("microbatches, chunks", CUTS)
@pytest.mark.parametrize("counts", COUNTS[1:])
def test_what_is_dropped_does_not_depend_on_the_schedule(counts, microbatches, chunks):
    first, second, third = (trained(0.3, counts, schedule, microbatches, chunks)
                            for schedule in ("fill_drain", "1f1b", "wavefront"))
    assert_same(second, first)
    if 1 in (microbatches, chunks):  # else the wavefront's units draw in another order
        assert_same(third, first)


@pytest.mark.parametrize("microbatches, chunks", CUTS)
def test_what_is_dropped_does_not_depend_on_whether_stages_are_interleaved(microbatches, chunks):
    first, second = (trained(0.3, COUNTS[2], schedule, microbatches, chunks, contexts=CONTEXTS[:2] * 2)
                     for schedule in ("1f1b", "interleaved"))
    assert_same(second, first)


def test_without_dropout_seeds_and_plans_do_not_matter():
    expected = trained(0.0, COUNTS[0], "1f1b", 1, 1)
    for counts, (microbatches, chunks) in zip(COUNTS, CUTS[1:]):
        assert_same(trained(0.0, counts, "wavefront", microbatches, chunks, seeds=(7, 8, 9)), expected)


def test_every_step_and_seed_drops_something_else():
    found = trained(0.3, COUNTS[1], "1f1b", 2, 1), trained(0.3, COUNTS[1], "1f1b", 2, 1, seeds=(5, 6, 7))
    plain = trained(0.0, COUNTS[1], "1f1b", 2, 1)
    assert len({float(run["loss 0"]) for run in (*found, plain)}) == 3


def test_neighbouring_seeds_steps_and_stages_draw_masks_that_are_no_shifted_copies():
    masks = {}
    for numbers in itertools.product((1, 2), (0, 1, 2), (0, 1, 2)):  # seed, step, stage
        mx.random.seed(stage_seed(*numbers), mx.cpu(0))
        masks[numbers] = mx.nd.random.uniform(shape=(4000,)).asnumpy() < 0.5
    for one, two in itertools.combinations(masks.values(), 2):
        for shift in range(-20, 21):
            assert 0.4 < (one == np.roll(two, shift)).mean() < 0.6  # by chance 0.5, with a deviation of 0.008
