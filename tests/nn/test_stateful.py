import mxnet as mx
import pytest
from helpers.plain import uniform

from mxmp.nn import StatefulBlock


class Sum(StatefulBlock):
    """Adds its inputs to a running sum, its state."""

    def begin_state(self, batch_size=0, func=mx.nd.zeros, **kwargs):
        return [func(shape=(1, batch_size, 2), **kwargs)]

    def hybrid_forward(self, F, data, other, states):
        total = F.broadcast_add(data + other, states[0])
        return total, [F.slice_axis(total, axis=0, begin=-1, end=None)]


@pytest.fixture(params=["plain", "hybridized"])
def block(request):
    block = Sum()
    if request.param == "hybridized":
        block.hybridize()
    return block


@pytest.fixture
def arrays():
    return [mx.nd.array(uniform(*shape, seed=i)) for i, shape in enumerate([(4, 3, 2), (4, 3, 2), (1, 3, 2)])]


def without_states(block, data, other, state):
    out = block(data, other)
    assert (out.asnumpy() == (data + other).asnumpy()).all()


def with_a_list(block, data, other, state):
    check_states(*block(data, other, [state]), data, other, state)


def with_a_tuple(block, data, other, state):
    check_states(*block(data, other, (state,)), data, other, state)


def check_states(out, states, data, other, state):
    expected = mx.nd.broadcast_add(data + other, state).asnumpy()
    assert isinstance(states, list)
    assert (out.asnumpy() == expected).all() and (states[0].asnumpy() == expected[-1:]).all()


FORMS = [without_states, with_a_list, with_a_tuple]


@pytest.mark.parametrize("second", FORMS)
@pytest.mark.parametrize("first", FORMS)
def test_every_form_of_call_works_whichever_came_first(block, arrays, first, second):
    first(block, *arrays)
    second(block, *arrays)


def test_none_is_as_good_as_no_states(block, arrays):
    data, other, _ = arrays
    assert (block(data, other, None).asnumpy() == block(data, other).asnumpy()).all()


def test_zero_states_are_on_the_inputs_context(block):
    data = mx.nd.ones((4, 3, 2), ctx=mx.cpu(1))
    assert block(data, data).context == mx.cpu(1)


def test_a_subclass_must_say_what_its_states_are():
    with pytest.raises(NotImplementedError):
        StatefulBlock().begin_state(1)
