"""A batch cut for a step, and its inputs' gradients put together."""
import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxmp.pipeline.cut import Feed


def numbers(*shape):
    return mx.nd.arange(int(np.prod(shape))).reshape(shape)


def feed_of(data, label=None, layout="NTC", microbatches=2, chunks=1, training=True):
    return Feed.of(data, label, layout, microbatches, chunks, training)


def test_rows_and_steps_are_cut_into_nearly_equal_parts():
    data = numbers(7, 5, 2)
    feed = feed_of(data, microbatches=3, chunks=2)
    assert feed.rows == [2, 2, 3] and feed.steps == [2, 3]
    assert {key: arrays[0].shape for key, arrays in feed.inputs.items()} == {
        (m, t): (rows, steps, 2) for m, rows in enumerate([2, 2, 3]) for t, steps in enumerate([2, 3])}
    np.testing.assert_array_equal(feed.inputs[1, 1][0].asnumpy(), data.asnumpy()[2:4, 2:])


def test_a_small_batch_and_a_short_sequence_are_cut_into_fewer_parts():
    feed = feed_of(numbers(2, 3), microbatches=4, chunks=8)
    assert (feed.rows, feed.steps) == ([1, 1], [1, 1, 1])


def test_one_chunk_keeps_the_time_axis_whatever_its_length():
    feed = feed_of((numbers(4, 3), numbers(4, 9), numbers(4)))
    assert feed.steps == [0]
    assert [array.shape for array in feed.inputs[1, 0]] == [(2, 3), (2, 9), (2,)]


def test_time_first_batches_are_cut_along_their_second_axis():
    feed = feed_of(numbers(6, 4), numbers(4), layout="TNC", chunks=3)
    assert (feed.rows, feed.steps) == ([2, 2], [2, 2, 2])
    np.testing.assert_array_equal(feed.inputs[1, 0][0].asnumpy(), numbers(6, 4).asnumpy()[:2, 2:])
    assert feed.labels[1, 0][0].asnumpy().tolist() == [2, 3]


def test_labels_are_not_cut_in_time():
    feed = feed_of(numbers(4, 6), [numbers(4, 7), numbers(4)], chunks=2)
    assert feed.labels.keys() == {(0, 0), (1, 0)}
    assert [array.shape for array in feed.labels[0, 0]] == [(2, 7), (2,)]


def test_no_labels_are_not_the_same_as_none_for_the_loss_to_take():
    assert feed_of(numbers(4, 6), label=None).labels is None
    assert feed_of(numbers(4, 6), label=()).labels == {}


@pytest.mark.parametrize("pack", [tuple, list])
def test_several_inputs_come_as_a_tuple_or_a_list(pack):
    feed = feed_of(pack([numbers(4, 2), numbers(4, 3)]))
    assert [array.shape for array in feed.inputs[0, 0]] == [(2, 2), (2, 3)]


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
    feed.hand_back({key: tuple((3 * array + 1).as_in_context(mx.cpu(1)) for array in (pieces[0], pieces[2]))
                    for key, pieces in feed.inputs.items()})
    for array in (first, second):
        np.testing.assert_array_equal(array.grad.asnumpy(), 3 * array.asnumpy() + 1)
    assert plain.grad is None


@pytest.mark.parametrize("grad_req, expected", [("write", 2), ("add", 4)])
def test_gradients_are_written_or_added_as_the_array_asks(grad_req, expected):
    data = numbers(4, 3)
    data.attach_grad(grad_req)
    for _ in range(2):
        feed = feed_of(data)
        feed.hand_back({key: (mx.nd.ones(pieces[0].shape) * 2,) for key, pieces in feed.inputs.items()})
    assert set(data.grad.asnumpy().ravel()) == {expected}


@pytest.mark.parametrize("training", [False, True])
def test_without_wanted_gradients_nothing_is_handed_back(training):
    data = numbers(4, 3)
    if not training:
        data.attach_grad()
    feed = feed_of(data, training=training)
    feed.hand_back({key: (mx.nd.ones(pieces[0].shape),) for key, pieces in feed.inputs.items()})
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
        autograd.get_symbol(feed.inputs[0, 0][0])


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
    assert feed_of(numbers(4, 2), numbers(4), chunks=2).labels[0, 0][0].shape == (2,)  # labels need none


def test_no_input_at_all_is_refused():
    with pytest.raises(ValueError, match="batch"):
        feed_of(())


@pytest.mark.parametrize("shape, chunks", [((0, 3, 2), 1), ((2, 0, 2), 2)])
def test_an_empty_batch_is_an_error(shape, chunks):
    class Empty:
        """MXNet refuses arrays of size 0; other array types may not."""

        grad = None
        ndim = len(shape)

    empty = Empty()
    empty.shape = shape
    with pytest.raises(ValueError, match="the batch is empty"):
        Feed.of(empty, (), "NTC", 2, chunks, True)
