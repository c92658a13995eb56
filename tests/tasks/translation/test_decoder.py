"""Decoding one token at a time against the training chain over whole sentences."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import pipelined, random_values
from helpers.tiny import CONTEXTS, OPTIONS, batch

from mxmp.tasks.translation.model import ModelOptions, translation_chain
from mxmp.tasks.translation.translator import StepDecoder


@pytest.mark.parametrize("counts", [(11,), (4, 7), (5, 2, 4)])
def test_steps_give_the_log_probabilities_of_the_training_pass(counts):
    data, _, _ = batch()
    chain = translation_chain(OPTIONS)
    with pipelined(chain, random_values(chain), None, counts, 1) as pipe:
        logits = pipe(data)
        expected = mx.nd.log_softmax(logits).asnumpy()  # (T, N, V)
        decoder = StepDecoder(chain, pipe.plan)
        states = decoder.encode(*data[:2])
        for step in range(data[2].shape[1]):
            tokens = data[2][:, step].as_in_context(decoder.context)
            log_probs, states = decoder(tokens, states)
            np.testing.assert_allclose(log_probs.asnumpy(), expected[step], 1e-5, 1e-5)


def test_beams_of_a_sentence_attend_to_their_own_source():
    data, _, _ = batch(rows=3)
    chain = translation_chain(ModelOptions(23, 23, True, 8, 6, 2, 2, 0.0))
    with pipelined(chain, random_values(chain), None, (4, 5), 1) as pipe:
        decoder = StepDecoder(chain, pipe.plan)
        tokens = data[2][:, 0].as_in_context(CONTEXTS[1])
        single, _ = decoder(tokens, decoder.encode(*data[:2]))
        states = [state.repeat(4, axis=0) for state in decoder.encode(*data[:2])]  # sentence by sentence
        beams, _ = decoder(tokens.repeat(4, axis=0), states)
    np.testing.assert_allclose(beams.asnumpy(), single.asnumpy().repeat(4, axis=0), 1e-5, 1e-6)
