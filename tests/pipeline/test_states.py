"""States of recurrent layers: who has them, how they are cut and joined, and who cannot run in chunks."""
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

from mxmp.nn import BidirectionalLSTM, Chain, ContextLSTM, LSTMLayer, MaskedAttention, Residual, Select
from mxmp.pipeline.states import check_chunkable, cut_states, is_stateful, join_states


class Averaging(gluon.HybridBlock):
    """A layer whose states have the batch first, but one of them in its last axis."""

    def begin_state(self, batch_size=0, func=mx.nd.zeros, **kwargs):
        return [func(shape=shape, **kwargs) for shape in ((batch_size, 3), (2, 1, batch_size))]


def block_name(value):
    return type(value).__name__ if isinstance(value, gluon.Block) else None


def filled(layers, batch_size):
    """States of distinct values, in the layers' own shapes."""
    states, start = [], 0
    for layer in layers:
        states.append([])
        for zero in layer.begin_state(batch_size):
            states[-1].append(mx.nd.arange(start, start + zero.size).reshape(zero.shape))
            start += zero.size
    return states


@pytest.mark.parametrize("layer, expected", [
    (LSTMLayer(3), True), (ContextLSTM(3), True), (Residual(LSTMLayer(3)), True), (gluon.rnn.GRU(3), True),
    (Select(LSTMLayer(3), (0,)), True), (Averaging(), True), (gluon.nn.Dense(3), False),
    (Select(gluon.nn.Dense(3), (0,)), False), (BidirectionalLSTM(3), False)], ids=block_name)
def test_a_layer_with_begin_state_has_states(layer, expected):
    assert is_stateful(layer) == expected


@pytest.mark.parametrize("rows", [[4], [1, 3], [2, 1, 1]])
def test_states_are_cut_by_stage_microbatch_and_layer(rows):
    layers = [LSTMLayer(3), Averaging(), gluon.rnn.LSTM(2, num_layers=2)]
    stages = [[], layers[:2], layers[2:], []]
    states = filled(layers, 4)
    parts = cut_states(states, stages, rows)
    assert [len(part) for part in parts] == [len(rows)] * 4
    assert parts[0] == parts[3] == [[]] * len(rows)
    ends = np.cumsum([0, *rows])
    for m, (begin, end) in enumerate(zip(ends, ends[1:])):
        part = slice(begin, end)
        expected = [[states[0][0].asnumpy()[:, part], states[0][1].asnumpy()[:, part]],
                    [states[1][0].asnumpy()[part], states[1][1].asnumpy()[:, :, part]],
                    [states[2][0].asnumpy()[:, part], states[2][1].asnumpy()[:, part]]]
        actual = parts[1][m] + parts[2][m]
        assert [len(layer) for layer in actual] == [2, 2, 2]
        for arrays, wanted in zip(actual, expected):
            for array, values in zip(arrays, wanted):
                np.testing.assert_array_equal(array.asnumpy(), values)


@pytest.mark.parametrize("rows", [[4], [1, 3], [1, 1, 1, 1]])
def test_joining_states_gives_those_that_were_cut(rows):
    layers = [LSTMLayer(3), Averaging(), gluon.rnn.LSTM(2, num_layers=2)]
    stages = [layers[:1], [], layers[1:]]
    states = filled(layers, 4)
    joined = join_states([dict(enumerate(part)) for part in cut_states(states, stages, rows)], stages, len(rows))
    assert [len(layer) for layer in joined] == [2, 2, 2]
    for arrays, expected in zip(joined, states):
        for array, values in zip(arrays, expected):
            np.testing.assert_array_equal(array.asnumpy(), values.asnumpy())


def test_states_of_another_number_of_layers_are_refused():
    layers = [LSTMLayer(3), LSTMLayer(3)]
    for given in (filled(layers[:1], 4), filled(layers * 2, 4)):
        with pytest.raises(ValueError, match=f"2 layers with states, but states of {len(given)} were given"):
            cut_states(given, [layers[:1], layers[1:]], [2, 2])


@pytest.mark.parametrize("spoil", [lambda states: filled([LSTMLayer(3)], 5), lambda states: filled([LSTMLayer(3)], 3),
                                   lambda states: [states[0] * 2], lambda states: [states[0][:1]]],
                         ids=["more rows", "fewer rows", "more arrays", "fewer arrays"])
@pytest.mark.parametrize("rows", [[4], [2, 2]])
def test_states_of_another_shape_or_number_are_refused(rows, spoil):
    layers = [LSTMLayer(3)]
    with pytest.raises(ValueError, match="state"):
        cut_states(spoil(filled(layers, 4)), [layers], rows)


def test_layers_that_only_look_back_can_run_in_chunks():
    check_chunkable({"dense": gluon.nn.Dense(3), "lstm": LSTMLayer(3), "residual": Residual(LSTMLayer(3)),
                     "select": Select(ContextLSTM(3), (0, 1)), "gru": gluon.rnn.GRU(3),
                     "dropout": gluon.nn.Dropout(0.5)})


def nested(block):
    outer = gluon.nn.HybridSequential()
    outer.add(gluon.nn.Dense(3), block)
    return outer


@pytest.mark.parametrize("layer, kind", [
    (BidirectionalLSTM(3), "BidirectionalLSTM"), (MaskedAttention(3), "MaskedAttention"),
    (Select(MaskedAttention(3), (0, 1, 2)), "MaskedAttention"), (nested(MaskedAttention(3)), "MaskedAttention"),
    (gluon.rnn.LSTM(3, bidirectional=True), "LSTM"), (nested(nested(gluon.rnn.GRU(3, bidirectional=True))), "GRU")],
    ids=block_name)
def test_a_layer_that_needs_the_whole_sequence_is_named(layer, kind):
    with pytest.raises(ValueError, match=f"layer 'top' .{kind}. needs the whole sequence at once.*num_chunks=1"):
        check_chunkable({"bottom": LSTMLayer(3), "top": layer})


@pytest.mark.parametrize("layer, outer, inner", [
    (nested(LSTMLayer(3)), "HybridSequential", "LSTMLayer"),
    (nested(nested(gluon.rnn.GRU(3))), "HybridSequential", "GRU")], ids=["LSTMLayer", "GRU"])
def test_a_layer_that_hides_a_state_is_named(layer, outer, inner):
    with pytest.raises(ValueError, match=f"layer 'top' .{outer}. has a {inner} inside but does not hand on"):
        check_chunkable({"bottom": LSTMLayer(3), "top": layer})


def test_the_first_such_layer_is_named():
    chain = Chain()
    chain.add_named("attend", MaskedAttention(3))
    chain.add_named("encode", BidirectionalLSTM(3))
    with pytest.raises(ValueError, match="layer 'attend'"):
        check_chunkable(chain.layers)
