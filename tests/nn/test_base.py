"""Blocks move what they are given to their context, and take states or leave them out."""
import mxnet as mx
import pytest
from helpers.blocks import CASES, RECURRENT, ROWS, STEPS, WIDTH, states_for
from helpers.plain import assert_same, initialized, to_array, trace, uniform

from mxmp import nn
from mxmp.nn import StatefulBlock

HERE, THERE, ELSEWHERE = mx.cpu(0), mx.cpu(1), mx.cpu(2)
PLACED = [name for name in CASES if name not in ("TimeFirst", "LabelSmoothedLoss")]  # blocks that have parameters


@pytest.fixture
def moves(monkeypatch):
    """(from, to, shape) of every array that changes its context, in order."""
    seen, plain = [], mx.nd.NDArray.copyto

    def copyto(array, other):
        context = other if isinstance(other, mx.Context) else other.context
        if context != array.context:
            seen.append((array.context, context, array.shape))
        return plain(array, other)

    monkeypatch.setattr(mx.nd.NDArray, "copyto", copyto)
    return seen


def test_the_counter_sees_moves(moves):
    array = mx.nd.ones((2, 3))
    assert array.as_in_context(HERE) is array and not moves
    array.as_in_context(THERE)
    assert moves == [(HERE, THERE, (2, 3))]


def built(name, ctx, hybridize):
    """The block with fixed values; whatever it moves first happens before the count."""
    block = CASES[name].make(WIDTH)
    if hybridize:
        block.hybridize()
    return initialized(block, *CASES[name].inputs(STEPS, ROWS), ctx=ctx)


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", PLACED)
def test_each_input_is_moved_once_and_the_output_stays(moves, name, hybridize):
    block = built(name, THERE, hybridize)
    inputs = [to_array(array, ctx=HERE) for array in CASES[name].inputs(STEPS, ROWS)]
    moves.clear()
    out = block(*inputs)
    read = inputs if name != "Select" else inputs[::-1]  # in the order in which it takes them
    assert moves == [(HERE, THERE, array.shape) for array in read]
    out = out[0] if isinstance(out, tuple) else out
    assert out.context == THERE
    moves.clear()
    block(*[array.as_in_context(THERE) for array in inputs])
    assert moves == [(HERE, THERE, array.shape) for array in inputs]  # these are the test's own


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", RECURRENT)
def test_so_are_states(moves, name, hybridize):
    block = built(name, THERE, hybridize)
    inputs = [to_array(array, ctx=THERE) for array in CASES[name].inputs(STEPS, ROWS)]
    states = [to_array(array, ctx=HERE) for array in states_for(name, ROWS)]
    moves.clear()
    out, news = block(*inputs, states)
    rows = sum(shape[0] for _, _, shape in moves)  # a stack gives each layer its own rows
    assert rows == sum(state.shape[0] for state in states) and all(move[:2] == (HERE, THERE) for move in moves)
    assert {state.context for state in news} == {THERE}


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", PLACED)
def test_gradients_come_back_to_where_the_inputs_are(name, hybridize):
    arrays = CASES[name].inputs(STEPS, ROWS)
    plain, moved = built(name, HERE, hybridize), built(name, THERE, hybridize)
    expected = trace(plain, *arrays, block=plain, ctx=HERE)
    assert_same(trace(moved, *arrays, block=moved, ctx=HERE), expected)


def test_labels_are_moved_to_the_logits(moves):
    logits, *others = CASES["LabelSmoothedLoss"].inputs(STEPS, ROWS)
    loss = nn.LabelSmoothedLoss(0.1)
    loss.hybridize()
    out = loss(to_array(logits, ctx=THERE), *[to_array(array, ctx=HERE) for array in others])
    assert moves == [(HERE, THERE, array.shape) for array in others] and out.context == THERE


def test_a_block_without_parameters_works_where_its_input_is(moves):
    assert nn.TimeFirst()(mx.nd.ones((2, 3, 4), ctx=THERE)).context == THERE and not moves


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", PLACED)
def test_with_copies_on_several_contexts_it_works_where_the_input_is(moves, name, hybridize):
    block = CASES[name].make(WIDTH)
    if hybridize:
        block.hybridize()
    block.initialize(ctx=[HERE, THERE])
    for context in (HERE, THERE):
        inputs = [to_array(array, ctx=context) for array in CASES[name].inputs(STEPS, ROWS)]
        moves.clear()
        out = block(*inputs)
        assert (out[0] if isinstance(out, tuple) else out).context == context
        block(*inputs)
        moved = [move for move in moves if move[0] != move[1] and move[2] == inputs[0].shape]
        assert not moved


def test_a_shared_table_with_copies_leads_to_the_context_of_the_rest():
    embedding = nn.SequenceEmbedding(9, WIDTH)
    projection = nn.Projection(9, WIDTH, shared=embedding)
    embedding.initialize(ctx=[HERE, THERE])
    projection.dense.bias.initialize(ctx=THERE)
    assert projection(mx.nd.ones((STEPS, ROWS, WIDTH), ctx=HERE)).context == THERE


@pytest.mark.parametrize("layout", ["TNC", "NTC"])
def test_a_stack_moves_its_input_once_and_then_from_layer_to_layer(moves, layout):
    contexts = [HERE, HERE, THERE, THERE]
    stacked = nn.StackedLSTM(6, 4, contexts, layout=layout, input_size=WIDTH)
    stacked.initialize()
    shape = (STEPS, ROWS, WIDTH) if layout == "TNC" else (ROWS, STEPS, WIDTH)
    data = mx.nd.ones(shape, ctx=ELSEWHERE)
    moves.clear()
    with mx.autograd.record():
        out = stacked(data)
    assert moves == [(ELSEWHERE, HERE, (STEPS, ROWS, WIDTH)), (HERE, THERE, (STEPS, ROWS, 6))]
    assert out.context == THERE
    moves.clear()
    out, states = stacked(data, stacked.begin_state(ROWS, ctx=HERE))
    there = [move for move in moves if move[0] == ELSEWHERE]
    assert there == [(ELSEWHERE, HERE, (STEPS, ROWS, WIDTH))]
    assert not [move for move in moves if move[0] == THERE]  # nothing comes back
    assert {array.context for array in (out, *states)} == {THERE}


def test_parameters_without_values_are_gluons_error():
    with pytest.raises(RuntimeError, match="has not been initialized. Note that you should initialize parameters"):
        nn.LSTMLayer(6, input_size=WIDTH)(mx.nd.ones((STEPS, ROWS, WIDTH)))


@pytest.mark.parametrize("name", [name for name in RECURRENT if name not in ("Select",)])
def test_what_is_no_array_is_gluons_error(name):
    block = built(name, HERE, False)
    with pytest.raises(ValueError, match="there must be one NDArray or one Symbol in the input"):
        block(*CASES[name].inputs(STEPS, ROWS))


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
