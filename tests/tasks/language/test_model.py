"""The language chain with carried states against gluon.rnn.LSTM on one context: every loss, every gradient."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same, gradients, pipelined, random_values
from mxnet import autograd, gluon

from mxmp import Plan, Trainer
from mxmp.nn import LabelSmoothedLoss
from mxmp.tasks.language.model import ModelOptions, begin_with_frequencies, check_tied, language_chain, split_loss

ROWS, STEPS, SEGMENTS, V = 5, 7, 4, 11
SIZES = ModelOptions(V, embed_size=4, hidden_size=4, num_layers=4)


class Plain(gluon.Block):
    """The same model of Gluon's own blocks."""

    def __init__(self, values, tied):
        super().__init__()
        self.embedding = gluon.nn.Embedding(V, 4)
        self.lstms = gluon.nn.Sequential()
        self.lstms.add(*[gluon.rnn.LSTM(4, input_size=4) for _ in range(4)])
        self.dense = gluon.nn.Dense(V, flatten=False, in_units=4, params=self.embedding.params if tied else None)
        self.initialize()
        self.embedding.weight.set_data(mx.nd.array(values["embedding.table.weight"]))
        self.dense.weight.set_data(mx.nd.array(values["projection.dense.weight"]))
        self.dense.bias.set_data(mx.nd.array(values["projection.dense.bias"]))
        for i in range(4):
            flat = iter(np.split(values[lstm_name(i)], np.cumsum([64, 64, 16])))
            for parameter in self.lstm_parameters(i):
                parameter.set_data(mx.nd.array(next(flat).reshape(parameter.shape)))

    def lstm_parameters(self, i):
        layer = self.lstms[i]
        return [layer.l0_i2h_weight, layer.l0_h2h_weight, layer.l0_i2h_bias, layer.l0_h2h_bias]

    def forward(self, tokens, states):
        data, new = self.embedding(tokens.transpose()) * 2.0, []
        for i, (layer, state) in enumerate(zip(self.lstms, states)):
            out, state = layer(data, state)
            data = data + out if i > 1 else out
            new.append(state)
        return self.dense(data.swapaxes(0, 1)), new  # (N, T, V)

    def gradients(self):
        grads = {lstm_name(i): np.concatenate([p.grad().asnumpy().ravel() for p in self.lstm_parameters(i)])
                 for i in range(4)}
        return {"embedding.table.weight": self.embedding.weight.grad().asnumpy(),
                "projection.dense.weight": self.dense.weight.grad().asnumpy(),
                "projection.dense.bias": self.dense.bias.grad().asnumpy(), **grads}


def lstm_name(i):
    return f"lstm_{i}.block.parameters" if i > 1 else f"lstm_{i}.parameters"


def segments():
    """Tokens, labels and lengths that differ, of segments that follow each other."""
    rng = np.random.RandomState(1)
    stream = rng.randint(0, V, (ROWS, SEGMENTS * STEPS + 1))
    for begin in range(0, SEGMENTS * STEPS, STEPS):
        yield [mx.nd.array(a, dtype="int32") for a in (
            stream[:, begin:begin + STEPS], stream[:, begin + 1:begin + STEPS + 1], rng.randint(1, STEPS + 1, ROWS))]


def train_plain(values, tied):
    """Loss, gradients and states of every step of truncated back-propagation, with plain SGD in between."""
    model, loss = Plain(values, tied), gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(model.collect_params(), "sgd", {"learning_rate": 0.5})
    states = [layer.begin_state(ROWS) for layer in model.lstms]
    for tokens, labels, lengths in segments():
        mask = mx.nd.SequenceMask(mx.nd.ones((STEPS, ROWS)), lengths.astype("float32"), True).transpose()
        with autograd.record():
            logits, states = model(tokens, states)
            total = (loss(logits, labels, mask.expand_dims(-1)) * STEPS).sum()  # Gluon's is the mean over time
        total.backward()
        states = [[array.detach() for array in state] for state in states]
        yield {"loss": total.asnumpy(), **model.gradients(),
               **{f"state {i}/{j}": array.asnumpy() for i, state in enumerate(states) for j, array in enumerate(state)}}
        trainer.step(ROWS)


@pytest.mark.parametrize("counts, schedule, microbatches, chunks, tied", [
    ((3, 4), "wavefront", 1, 3, False), ((7,), "wavefront", 1, 4, False), ((2, 2, 3), "wavefront", 2, 2, False),
    ((3, 4), "1f1b", 2, 1, False), ((3, 4), "fill_drain", 1, 7, False), ((7,), "wavefront", 1, 3, True)])
def test_steps_with_carried_states_are_those_of_gluon(counts, schedule, microbatches, chunks, tied):
    chain = language_chain(ModelOptions(**{**vars(SIZES), "tied": tied}))
    values = random_values(chain)
    with pipelined(chain, values, LabelSmoothedLoss(layout="NTC"), counts, microbatches, num_chunks=chunks,
                   schedule=schedule) as pipe:
        trainer, states = Trainer(pipe, "sgd", {"learning_rate": 0.5}), pipe.begin_state(ROWS)
        for expected, (tokens, labels, lengths) in zip(train_plain(values, tied), segments()):
            loss, states = pipe.forward_backward(tokens, (labels, lengths), states)
            actual = {"loss": loss.asnumpy(), **gradients(chain),
                      **{f"state {i}/{j}": a.asnumpy() for i, state in enumerate(states) for j, a in enumerate(state)}}
            assert_same(actual, expected, rtol=1e-4, atol=1e-5)
            trainer.step(ROWS)


def test_carried_states_matter():
    values = random_values(language_chain(SIZES))
    first, second = list(train_plain(values, False))[:2]
    assert np.abs(second["state 0/0"]).max() > 1e-3 and first["loss"] != second["loss"]


@pytest.mark.parametrize("num_layers, dropout, names", [
    (1, 0.0, ["embedding", "lstm_0", "batch_first", "projection"]),
    (2, 0.1, ["embedding", "lstm_0", "lstm_1", "dropout", "batch_first", "projection"])])
def test_the_layers_are_named(num_layers, dropout, names):
    chain = language_chain(ModelOptions(V, 3, 5, num_layers, dropout))
    chain.initialize()
    assert list(chain.layers) == names and chain(mx.nd.zeros((2, 6), dtype="int32")).shape == (2, 6, V)


def test_tied_ends_on_two_contexts_are_refused():
    sizes = ModelOptions(V, tied=True)
    check_tied(sizes, Plan((5,), CONTEXTS[:1]))
    check_tied(ModelOptions(V), Plan((3, 2), CONTEXTS[:2]))
    with pytest.raises(ValueError, match=r"embedding would live on cpu\(0\) and the projection on cpu\(1\) \(plan 3,2"):
        check_tied(sizes, Plan((3, 2), CONTEXTS[:2]))


def test_the_outputs_bias_begins_at_the_frequencies():
    chain = language_chain(ModelOptions(4, 3, 5))
    chain.initialize()
    split = split_loss(ModelOptions(4, 3, 5), CONTEXTS[:3])
    split.initialize()
    for biases in ([chain.layers["projection"].dense.bias], [shard.bias for shard in split.shards]):
        begin_with_frequencies(biases, [[2, 2, 3], [2]], end=1)
        bias = np.concatenate([bias.data().asnumpy() for bias in biases])
        np.testing.assert_allclose(np.exp(bias), np.array([0, 2, 3, 1]) / 10 + 0.1, rtol=1e-6)


def test_a_split_projection_cannot_be_tied():
    with pytest.raises(ValueError, match="--tied: a projection that is split over contexts cannot share"):
        split_loss(ModelOptions(4, tied=True), CONTEXTS[:2])


@pytest.mark.parametrize("wrong, message", [({"num_layers": 0}, "num_layers must be at least 1, got 0"),
                                            ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0")])
def test_impossible_sizes_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ModelOptions(V, **wrong)
