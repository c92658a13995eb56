"""Batches cut and joined, against numpy's slices."""
import mxnet as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.pipeline.cut import LAYOUTS, cut, join, join_chunks, size_along, sizes, split

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
    found = sizes(size, parts)
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
