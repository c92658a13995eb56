"""One layer beside Gluon's of one layer, with the same parameters; `test_stacked` has whole stacks."""
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

from mxmp.nn import RecurrentLayer

T, N, C, H = 4, 3, 5, 6


def layer_of(plain, mode="lstm", directions=1, dropout=0.0, residual=False):
    return RecurrentLayer(0, plain._hidden_size, mode, directions, dropout, residual, "float32", prefix="one_",
                          params=plain.params)


def steps(width=C):
    return mx.nd.array(np.random.RandomState(0).randn(T, N, width))


@pytest.mark.parametrize("mode, plain", [
    ("lstm", gluon.rnn.LSTM(H)), ("gru", gluon.rnn.GRU(H)), ("rnn_relu", gluon.rnn.RNN(H)),
    ("rnn_tanh", gluon.rnn.RNN(H, activation="tanh"))])
@pytest.mark.parametrize("hybridized", [False, True])
def test_outputs_and_states_are_gluons(mode, plain, hybridized):
    plain.initialize(force_reinit=True)
    plain(steps())
    layer = layer_of(plain, mode)
    if hybridized:
        layer.hybridize()
    out, states = layer(steps(), layer.begin_state(N))
    expected, kept = plain(steps(), plain.begin_state(N))
    for one, other in zip([out, *states, layer(steps())], [expected, *kept, expected]):
        np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), 1e-5, 1e-6)


def test_states_have_an_array_for_each_direction():
    plain = gluon.rnn.LSTM(H, bidirectional=True)
    assert [s.shape for s in layer_of(plain, directions=2).begin_state(N)] == [(2, N, H)] * 2


def test_the_input_is_added():
    plain = gluon.rnn.LSTM(H, input_size=H)
    plain.initialize()
    np.testing.assert_allclose(layer_of(plain, residual=True)(steps(H)).asnumpy(),
                               (plain(steps(H)) + steps(H)).asnumpy(), 1e-6)


def test_the_input_is_dropped_in_training():
    plain = gluon.rnn.LSTM(H, input_size=C)
    plain.initialize()
    layer = layer_of(plain, dropout=0.5)
    assert (layer(steps()) == plain(steps())).asnumpy().all()
    with mx.autograd.train_mode():
        assert (layer(steps()) != plain(steps())).asnumpy().any()


def test_a_mode_that_the_operator_does_not_have_is_refused():
    with pytest.raises(ValueError, match="mode must be one of lstm, gru, rnn_tanh, rnn_relu; got 'qrnn'"):
        RecurrentLayer(0, H, "qrnn")
