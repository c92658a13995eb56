"""A batch is cut into micro-batches and chunks for a step, and put together again."""
import mxnet as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mxnet import autograd

from mxmp.pipeline.cut import LAYOUTS, Feed, cut, join, join_chunks, size_along, split
from mxmp.pipeline.packed import pack
from mxmp.sizes import even_sizes

few = settings(max_examples=25, deadline=None)
PARTS = st.lists(st.integers(1, 3), min_size=1, max_size=4)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def numbers(*shape):
    """An array all of whose elements differ."""
    return mx.nd.arange(int(np.prod(shape))).reshape(shape)


def whole(layout, rows, steps):
    """One array for each number of axes that a batch may have, but 1."""
    size = {"N": sum(rows), "T": sum(steps)}
    shape = tuple(size[letter] for letter in layout[:2])
    return [numbers(*shape), numbers(*shape, 2), numbers(*shape, 2, 3)]


def slices(layout, lengths):
    """By part of the batch axis and of the time axis the index that selects it."""
    ends = {letter: np.cumsum([0, *lengths[letter]]) for letter in "NT"}
    cuts = {letter: [slice(a, b) for a, b in zip(ends[letter], ends[letter][1:])] for letter in "NT"}
    return {(m, t): (rows, steps)[::1 if layout == "NTC" else -1]
            for m, rows in enumerate(cuts["N"]) for t, steps in enumerate(cuts["T"])}


@given(size=st.integers(1, 100), data=st.data())
@few
def test_sizes_add_up_and_differ_by_one_at_most(size, data):
    parts = data.draw(st.integers(1, size))
    found = even_sizes(size, parts)
    assert len(found) == parts and sum(found) == size and min(found) >= 1 and max(found) - min(found) <= 1


@each_layout
@given(rows=PARTS, steps=PARTS)
@few
def test_pieces_are_numpys_slices(layout, rows, steps):
    arrays = whole(layout, rows, steps)
    pieces = cut(arrays, layout, rows, steps)
    expected = slices(layout, {"N": rows, "T": steps})
    assert pieces.keys() == expected.keys()
    for key, index in expected.items():
        assert len(pieces[key]) == len(arrays)
        for piece, array in zip(pieces[key], arrays):
            np.testing.assert_array_equal(piece.asnumpy(), array.asnumpy()[index])


@each_layout
@given(rows=PARTS, steps=PARTS)
@few
def test_joining_pieces_gives_the_arrays_that_were_cut(layout, rows, steps):
    arrays = whole(layout, rows, steps)
    joined = join(cut(arrays, layout, rows, steps), rows, steps, layout)
    assert len(joined) == len(arrays)
    for actual, array in zip(joined, arrays):
        np.testing.assert_array_equal(actual.asnumpy(), array.asnumpy())


@each_layout
def test_an_array_of_one_axis_has_the_batch_there(layout):
    array = numbers(5)
    pieces = cut([array], layout, [2, 3], [0])
    assert [pieces[m, 0][0].asnumpy().tolist() for m in range(2)] == [[0, 1], [2, 3, 4]]
    np.testing.assert_array_equal(join(pieces, [2, 3], [0], layout)[0].asnumpy(), array.asnumpy())


@each_layout
def test_without_chunks_time_axes_may_differ_and_are_left_whole(layout):
    short, long = (numbers(4, 2), numbers(4, 7)) if layout == "NTC" else (numbers(2, 4), numbers(7, 4))
    pieces = cut([short, long], layout, [3, 1], [0])
    assert [[a.shape for a in pieces[m, 0]] for m in range(2)] == (
        [[(3, 2), (3, 7)], [(1, 2), (1, 7)]] if layout == "NTC" else [[(2, 3), (7, 3)], [(2, 1), (7, 1)]])


def test_one_part_is_the_array_itself():
    array = numbers(4, 3)
    assert split(array, 0, [4])[0] is array
    assert join(cut([array], "NTC", [4], [0]), [4], [0], "NTC")[0] is array


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_types_are_kept(dtype):
    array = numbers(4, 4).astype(dtype)
    pieces = cut([array], "NTC", [2, 2], [3, 1])
    assert {piece.dtype for (piece,) in pieces.values()} == {np.dtype(dtype).type}
    assert join(pieces, [2, 2], [3, 1], "NTC")[0].dtype == np.dtype(dtype).type


@pytest.mark.parametrize("layout, rows, steps", [("NTC", 4, 3), ("TNC", 3, 4)])
def test_lengths_are_read_along_the_layouts_axes(layout, rows, steps):
    arrays = [numbers(4, 3), numbers(4, 3, 2)]
    assert (size_along(arrays, layout, "N"), size_along(arrays, layout, "T")) == (rows, steps)
    assert size_along([*arrays, numbers(rows)], layout, "N") == rows


@pytest.mark.parametrize("layout, letter, shapes, name", [
    ("NTC", "N", [(4, 3), (5, 3)], "batch"), ("NTC", "T", [(4, 3), (4, 2, 3)], "time"),
    ("TNC", "N", [(3, 4), (3,)], "batch"), ("TNC", "T", [(3, 4), (4, 4)], "time")])
def test_different_lengths_are_refused_with_the_shapes(layout, letter, shapes, name):
    with pytest.raises(ValueError) as caught:
        size_along([mx.nd.zeros(shape) for shape in shapes], layout, letter)
    assert f"different {name} axes (layout {layout}): {shapes}" in str(caught.value)


def test_an_input_without_time_cannot_be_cut_into_chunks():
    with pytest.raises(ValueError, match=r"time axis, but one has the shape \(4,\).*mask.*num_chunks=1"):
        size_along([numbers(4, 3), numbers(4)], "NTC", "T")


@pytest.mark.parametrize("layout, shape", [("NTC", (3, 4, 2)), ("TNC", (4, 3, 2)), ("NTC", (3,))])
def test_outputs_without_their_microbatchs_rows_are_refused_with_their_shape(layout, shape):
    right = mx.nd.zeros((1, 3, 2) if layout == "NTC" else (3, 1, 2))
    pieces = {(0, 0): (right,), (1, 0): (mx.nd.zeros(shape),)}
    with pytest.raises(ValueError) as caught:
        join(pieces, [1, 4], [0], layout)
    assert f"must have the layout {layout} of its inputs, but one of a micro-batch of 4 rows has the shape {shape}" \
        in str(caught.value)


def test_outputs_of_one_microbatch_and_one_chunk_are_joined_to_nothing_and_may_have_any_shape():
    outputs = (numbers(3), numbers(2, 5))
    assert join({(0, 0): outputs}, [4], [0], "NTC") == outputs


@pytest.mark.parametrize("layout, shape", [("NTC", (4, 3, 2)), ("TNC", (3, 4, 2)), ("NTC", (4,))])
def test_outputs_without_their_chunks_steps_are_refused_with_their_shape(layout, shape):
    right = mx.nd.zeros((4, 2, 2) if layout == "NTC" else (2, 4, 2))
    chunks = [(right,), (right, mx.nd.zeros(shape))]
    for use in (lambda: join_chunks(chunks, [2, 2], layout),
                lambda: join({(0, t): chunk for t, chunk in enumerate(chunks)}, [4], [2, 2], layout)):
        with pytest.raises(ValueError) as caught:
            use()
        assert f"the layout {layout} of its inputs, but one of a chunk of 2 steps has the shape {shape}" \
            in str(caught.value)


@each_layout
def test_chunks_are_joined_along_time_whatever_the_rows(layout):
    array = numbers(4, 5, 2)
    axis = layout.index("T")
    chunks = [tuple(split(array, axis, [1, array.shape[axis] - 1])[t] for _ in range(2)) for t in range(2)]
    joined = join_chunks(chunks, [1, array.shape[axis] - 1], layout)
    assert len(joined) == 2
    for actual in joined:
        np.testing.assert_array_equal(actual.asnumpy(), array.asnumpy())


def feed_of(data, label=None, layout="NTC", microbatches=2, chunks=1, training=True):
    return Feed.of(data, label, layout, microbatches, chunks, training)


def test_rows_and_steps_are_cut_into_nearly_equal_parts():
    data = numbers(7, 5, 2)
    feed = feed_of(data, microbatches=3, chunks=2)
    assert feed.rows == [2, 2, 3] and feed.steps == [2, 3]
    assert {key: packed.arrays[0].shape for key, packed in feed.inputs.items()} == {
        (m, t): (rows, steps, 2) for m, rows in enumerate([2, 2, 3]) for t, steps in enumerate([2, 3])}
    np.testing.assert_array_equal(feed.inputs[1, 1].arrays[0].asnumpy(), data.asnumpy()[2:4, 2:])


def test_a_small_batch_and_a_short_sequence_are_cut_into_fewer_parts():
    feed = feed_of(numbers(2, 3), microbatches=4, chunks=8)
    assert (feed.rows, feed.steps) == ([1, 1], [1, 1, 1])


def test_one_chunk_keeps_the_time_axis_whatever_its_length():
    feed = feed_of((numbers(4, 3), numbers(4, 9), numbers(4)))
    assert feed.steps == [0]
    assert [array.shape for array in feed.inputs[1, 0].arrays] == [(2, 3), (2, 9), (2,)]


def test_time_first_batches_are_cut_along_their_second_axis():
    feed = feed_of(numbers(6, 4), numbers(4), layout="TNC", chunks=3)
    assert (feed.rows, feed.steps) == ([2, 2], [2, 2, 2])
    np.testing.assert_array_equal(feed.inputs[1, 0].arrays[0].asnumpy(), numbers(6, 4).asnumpy()[:2, 2:])
    assert feed.labels[1].arrays[0].asnumpy().tolist() == [2, 3]


def test_labels_are_not_cut_in_time():
    feed = feed_of(numbers(4, 6), [numbers(4, 7), numbers(4)], chunks=2)
    assert len(feed.labels) == 2
    assert [array.shape for array in feed.labels[0].arrays] == [(2, 7), (2,)]


def test_no_labels_are_not_the_same_as_none_for_the_loss_to_take():
    assert feed_of(numbers(4, 6), label=None).labels is None
    assert feed_of(numbers(4, 6), label=()).labels == [((), ())] * 2


@pytest.mark.parametrize("pack", [tuple, list])
def test_several_inputs_come_as_a_tuple_or_a_list(pack):
    feed = feed_of(pack([numbers(4, 2), numbers(4, 3)]))
    assert [array.shape for array in feed.inputs[0, 0].arrays] == [(2, 2), (2, 3)]


def test_gradients_are_wanted_of_inputs_that_have_one_attached():
    plain, attached = numbers(4, 2), numbers(4, 3)
    attached.attach_grad()
    assert feed_of((plain, attached)).wanted == [False, True]
    assert feed_of((plain, attached), training=False).wanted is None


@pytest.mark.parametrize("microbatches", [1, 2, 8])
@pytest.mark.parametrize("chunks", [1, 2, 6])
def test_gradients_reach_the_arrays_that_the_inputs_were_cut_from(microbatches, chunks):
    first, plain, second = numbers(8, 6), numbers(8, 6), numbers(8, 6, 2)
    first.attach_grad()
    second.attach_grad()
    feed = feed_of((first, plain, second), microbatches=microbatches, chunks=chunks)
    assert len(feed.inputs) == microbatches * chunks
    # each piece's gradient is made of its own values, and comes from another context
    feed.hand_back({key: tuple((3 * array + 1).as_in_context(mx.cpu(1)) for array in packed.arrays[::2])
                    for key, packed in feed.inputs.items()})
    for array in (first, second):
        np.testing.assert_array_equal(array.grad.asnumpy(), 3 * array.asnumpy() + 1)
    assert plain.grad is None


@pytest.mark.parametrize("grad_req, expected", [("write", 2), ("add", 4)])
def test_gradients_are_written_or_added_as_the_array_asks(grad_req, expected):
    data = numbers(4, 3)
    data.attach_grad(grad_req)
    for _ in range(2):
        feed = feed_of(data)
        feed.hand_back({key: (mx.nd.ones(packed.arrays[0].shape) * 2,) for key, packed in feed.inputs.items()})
    assert set(data.grad.asnumpy().ravel()) == {expected}


@pytest.mark.parametrize("training", [False, True])
def test_without_wanted_gradients_nothing_is_handed_back(training):
    data = numbers(4, 3)
    if not training:
        data.attach_grad()
    feed = feed_of(data, training=training)
    feed.hand_back({key: (mx.nd.ones(packed.arrays[0].shape),) for key, packed in feed.inputs.items()})
    assert data.grad is None or not data.grad.asnumpy().any()


def test_gradients_come_to_the_inputs_own_context(monkeypatch):
    data, seen = mx.nd.ones((4, 3), ctx=mx.cpu(1)), []
    data.attach_grad()
    monkeypatch.setattr(autograd, "backward", lambda heads, grads: seen.extend(grads))
    feed = feed_of(data)
    feed.hand_back({key: (mx.nd.ones((2, 3), ctx=mx.cpu(0)),) for key in feed.inputs})
    assert [grad.context for grad in seen] == [mx.cpu(1)] * 2


def test_a_forward_pass_alone_is_not_recorded():
    data = numbers(4, 3)
    data.attach_grad()
    with autograd.record():  # as in a caller's own block
        feed = feed_of(data, training=False)
    with pytest.raises(mx.MXNetError):
        autograd.get_symbol(feed.inputs[0, 0].arrays[0])


def test_different_batches_are_refused_with_the_shapes():
    for data, label in (((numbers(4, 2), numbers(3, 2)), None), (numbers(4, 2), numbers(3, 2))):
        with pytest.raises(ValueError, match=r"different batch axes \(layout NTC\): \[\(4, 2\), \(3, 2\)\]"):
            feed_of(data, label)


def test_different_lengths_are_refused_only_if_there_are_chunks():
    data = (numbers(4, 2), numbers(4, 3))
    assert feed_of(data).steps == [0]
    with pytest.raises(ValueError, match=r"different time axes \(layout NTC\): \[\(4, 2\), \(4, 3\)\]"):
        feed_of(data, chunks=2)


def test_chunks_need_inputs_with_a_time_axis():
    with pytest.raises(ValueError, match=r"time axis, but one has the shape \(4,\)"):
        feed_of((numbers(4, 2), numbers(4)), chunks=2)
    assert feed_of(numbers(4, 2), numbers(4), chunks=2).labels[0].arrays[0].shape == (2,)  # labels need none


def test_no_input_at_all_is_refused():
    with pytest.raises(ValueError, match="data hold nothing, no array"):
        feed_of(())


@pytest.mark.parametrize("shape, chunks", [((0, 3, 2), 1), ((2, 0, 2), 2)])
def test_an_empty_batch_is_an_error(shape, chunks):
    with mx.util.np_shape(True):  # MXNet refuses arrays of size 0 otherwise
        empty = mx.nd.zeros(shape)
        with pytest.raises(ValueError, match="the batch is empty"):
            Feed.of(empty, (), "NTC", 2, chunks, True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bool_arrays_are_cut_and_joined(layout):
    bits = np.random.RandomState(0).rand(4, 4, 2) > 0.5
    pieces = cut([mx.nd.array(bits, dtype="bool")], layout, [3, 1], [2, 2])
    np.testing.assert_array_equal(pieces[0, 1][0].asnumpy(), bits[:3, 2:] if layout == "NTC" else bits[2:, :3])
    (joined,) = join(pieces, [3, 1], [2, 2], layout)
    assert joined.dtype == np.bool_
    np.testing.assert_array_equal(joined.asnumpy(), bits)


def test_what_is_no_array_is_given_to_every_part():
    feed = feed_of((numbers(4, 3), None, 2.5), (numbers(4), None))
    for m in range(2):
        data, *rest = feed.inputs[m, 0].unpack()
        assert data.shape == (2, 3) and rest == [None, 2.5]
        assert feed.labels[m].unpack()[1] is None


def test_outputs_that_are_one_thing_for_one_part_and_another_for_the_next_are_refused():
    feed = feed_of(numbers(5, 3))
    outputs = {(m, 0): pack((numbers(rows, 3), rows), "") for m, rows in enumerate(feed.rows)}
    with pytest.raises(ValueError, match=r"\(array, 2\), then \(array, 3\); what depends on the batch must be"):
        feed.join(outputs)
    same, number = feed.join({key: pack((packed.arrays[0], 7), "") for key, packed in outputs.items()})
    assert same.shape == (5, 3) and number == 7
