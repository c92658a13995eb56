"""The loss at the pipeline's end: over a micro-batch's whole time, however its outputs come."""
import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

from mxmp.pipeline.cut import Feed, split
from mxmp.pipeline.loss_head import LossHead
from mxmp.pipeline.packed import pack
from mxmp.pipeline.stage import Stage

HERE = mx.cpu(1)


def numbers(*shape, seed=0, dtype="float32"):
    return mx.nd.array(np.random.RandomState(seed).randn(*shape), ctx=HERE, dtype=dtype)


class Uneven(gluon.HybridBlock):
    """No sum over steps: a product of the sums of the first and the second output, and a squared mean."""

    def hybrid_forward(self, F, first, second, label):
        return F.sum(first, axis=(1, 2)) * F.sum(second, axis=1) + F.square(F.mean(first - label, axis=(1, 2)))


def head_of(loss, rows, labels=(), layout="NTC", steps=(0,), training=True, reduction="sum"):
    """The head of a loss in a step of micro-batches of some rows, each of which has the same labels."""
    packed = None if labels is None else [pack(labels, "")] * len(rows)
    return LossHead(Stage(0, {}, HERE, loss, reduction),
                    Feed({}, packed, layout, list(rows), list(steps), [] if training else None))


def fed(head, microbatch, outputs, steps=(0,), axis=1):
    """What the head returns for each chunk."""
    parts = zip(*(split(array, axis, steps) for array in outputs)) if len(steps) > 1 else [outputs]
    return [head.forward(microbatch, pack(part, "")).arrays for part in parts]


@pytest.mark.parametrize("steps", [[0], [6], [3, 3], [1, 2, 3]])
def test_loss_and_gradients_over_chunks_are_those_of_the_whole(steps):
    outputs, label = [numbers(2, 6, 3), numbers(2, 6, seed=1)], numbers(2, 6, 3, seed=2)
    whole = [array.copy() for array in outputs]
    for array in whole:
        array.attach_grad()
    with autograd.record():
        expected = Uneven()(*whole, label).sum()
    expected.backward()
    head = head_of(Uneven(), [2], [label], steps=steps)
    results = fed(head, 0, outputs, steps)
    assert results[:-1] == [()] * (len(steps) - 1) and len(results[-1]) == 1
    assert results[-1][0].shape == (1,)
    np.testing.assert_allclose(results[-1][0].asnumpy(), expected.asnumpy(), 1e-5)
    grads = head.backward(0, mx.nd.ones((1,), ctx=HERE))
    assert len(grads) == len(steps)
    for i, array in enumerate(whole):
        if len(steps) > 1:
            assert [chunk[i].shape[1] for chunk in grads] == steps
        joined = np.concatenate([chunk[i].asnumpy() for chunk in grads], axis=1)
        np.testing.assert_allclose(joined, array.grad.asnumpy(), 1e-5, 1e-7)


def test_time_first_chunks_are_joined_and_cut_along_the_first_axis():
    outputs, label = [numbers(6, 2, 3)], numbers(6, 2, 3, seed=2)
    loss = gluon.loss.L2Loss(batch_axis=1)
    expected = loss(outputs[0], label).sum().asscalar()
    head = head_of(loss, [2], [label], "TNC", [2, 4])
    (total,) = fed(head, 0, outputs, [2, 4], axis=0)[-1]
    np.testing.assert_allclose(total.asscalar(), expected, 1e-5)
    grads = head.backward(0, mx.nd.ones((1,), ctx=HERE))
    joined = np.concatenate([chunk[0].asnumpy() for chunk in grads], axis=0)
    np.testing.assert_allclose(joined, ((outputs[0] - label) / 18).asnumpy(), 1e-4, 1e-7)


def test_a_loss_per_row_is_summed():
    out, label = numbers(4, 3), numbers(4, 3, seed=1)
    ((total,),) = fed(head_of(gluon.loss.L2Loss(), [4], [label], training=False), 0, [out])
    assert total.shape == (1,)
    np.testing.assert_allclose(total.asnumpy(), 0.5 * ((out - label) ** 2).mean(axis=1).sum().asnumpy(), 1e-5)


def test_gradients_are_those_of_the_given_multiple_of_the_loss():
    out = numbers(4, 3)
    head = head_of(lambda x: x * x, [4])
    fed(head, 0, [out])
    ((grad,),) = head.backward(0, mx.nd.array([0.5], ctx=HERE))
    np.testing.assert_allclose(grad.asnumpy(), out.asnumpy(), 1e-6)


def test_microbatches_may_be_mixed():
    outs, label = [numbers(2, 4, 3, seed=m) for m in range(2)], numbers(2, 4, 3, seed=9)
    head, loss = head_of(gluon.loss.L2Loss(), [2, 2], [label], steps=[2, 2]), gluon.loss.L2Loss()
    totals = {}
    for t in range(2):
        for m in range(2):
            totals[m] = head.forward(m, pack([outs[m][:, 2 * t:2 * t + 2]], "")).arrays
    for m in range(2):
        np.testing.assert_allclose(totals[m][0].asnumpy(), loss(outs[m], label).sum().asnumpy(), 1e-5)
    for m in (1, 0):
        chunks = head.backward(m, mx.nd.ones((1,), ctx=HERE))
        joined = np.concatenate([chunk[0].asnumpy() for chunk in chunks], axis=1)
        np.testing.assert_allclose(joined, ((outs[m] - label) / 12).asnumpy(), 1e-4, 1e-7)


def test_the_loss_returned_is_not_part_of_a_graph():
    ((total,),) = fed(head_of(lambda x: x * x, [4]), 0, [numbers(4, 3)])
    with pytest.raises(mx.MXNetError):
        autograd.get_symbol(total)


@pytest.mark.parametrize("training", [False, True])
def test_labels_come_from_any_context_and_the_loss_knows_whether_it_trains(training):
    seen = []

    def loss(out, label):
        seen.append((label.context, autograd.is_training(), autograd.is_recording()))
        return out * label

    fed(head_of(loss, [4], [mx.nd.ones((4, 3), ctx=mx.cpu(0))], training=training), 0, [numbers(4, 3)])
    assert seen == [(HERE, training, training)]


def test_outputs_that_are_not_floating_point_have_no_gradient():
    out, ids = numbers(4, 3), mx.nd.array([0, 1, 2, 0], ctx=HERE, dtype="int32")
    head = head_of(lambda x, i: mx.nd.pick(x, i), [4])
    fed(head, 0, [out, ids])
    (grads,) = head.backward(0, mx.nd.ones((1,), ctx=HERE))
    assert [grad.asnumpy().tolist() for grad in grads] == [[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_losss_type_is_that_of_the_outputs(dtype):
    head = head_of(lambda x: x * x, [4])
    ((total,),) = fed(head, 0, [numbers(4, 3, dtype=dtype)])
    assert head.dtype == total.dtype == np.dtype(dtype).type
    ((grad,),) = head.backward(0, mx.nd.ones((1,), ctx=HERE, dtype=head.dtype))
    assert grad.dtype == np.dtype(dtype).type


def test_a_losss_own_parameters_are_found_and_get_gradients():
    class Weighted(gluon.loss.Loss):
        def __init__(self):
            super().__init__(None, 0)
            with self.name_scope():
                self.scale = self.params.get("scale", shape=(1,), init="ones")

        def hybrid_forward(self, F, x, scale):
            return F.broadcast_mul(F.sum(x, axis=1), scale)

    loss, out = Weighted(), numbers(4, 3)
    loss.initialize(ctx=HERE)
    stage = Stage(0, {}, HERE, loss)
    assert stage.loss_blocks == [loss] and stage.contexts == {loss.scale: HERE}
    head = head_of(loss, [4])
    fed(head, 0, [out])
    ((grad,),) = head.backward(0, mx.nd.ones((1,), ctx=HERE))
    np.testing.assert_allclose(loss.scale.grad(HERE).asnumpy(), [out.asnumpy().sum()], 1e-5)
    assert set(grad.asnumpy().ravel()) == {1}
    plain = Stage(0, {}, HERE, lambda x: x)
    assert plain.loss_blocks == [] and plain.contexts == {}


def test_chunks_that_lost_their_time_axis_are_refused():
    head = head_of(gluon.loss.L2Loss(), [4], [numbers(4, 3)], steps=[2, 2])
    fed(head, 0, [numbers(4, 3)])
    with pytest.raises(ValueError, match=r"chunk of 2 steps has the shape \(4, 3\)"):
        fed(head, 0, [numbers(4, 3)])


MEANS = {
    "a mean": lambda out, label: (out - label).square().mean(),
    "a mean of Gluon's losses": lambda out, label: gluon.loss.L2Loss()(out, label).mean(),
    "a sum": lambda out, label: (out - label).square().sum(),
    "a number for each step": lambda out, label: (out - label).square().mean(axis=(0, 2)),
    "a number for each class": lambda out, label: (out - label).square().mean(axis=(0, 1))}


@pytest.mark.parametrize("rows", [(4, 4), (2, 2), (3, 3), (1, 1), (1, 2)], ids=str)  # as the classes, as the steps, ...
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("loss", MEANS.values(), ids=MEANS)
def test_a_loss_without_an_axis_of_rows_is_refused(loss, training, rows):
    label = numbers(rows[0], 2, 3, seed=1)
    with pytest.raises(ValueError, match=rf"a micro-batch of {rows[0]} rows \(NTC\).*leave the batch axis in it.*mean"):
        fed(head_of(loss, rows, [label], training=training), 0, [numbers(rows[0], 2, 3)])


@pytest.mark.parametrize("rows", [2, 3, 5, 1])
def test_gluons_losses_over_another_axis_than_the_batchs_are_refused(rows):
    label = numbers(5, rows, 3, seed=1)  # five steps
    with pytest.raises(ValueError, match=r"returned an array of shape \(5,\).*batch_axis"):
        fed(head_of(gluon.loss.L2Loss(), [rows, rows], [label], "TNC"), 0, [numbers(5, rows, 3)])
    fed(head_of(gluon.loss.L2Loss(batch_axis=1), [rows, rows], [label], "TNC"), 0, [numbers(5, rows, 3)])


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("loss", [
    gluon.loss.L2Loss(), lambda out, label: out - label, lambda out, label: (out - label).mean(axis=2),
    lambda out, label: (out - label).sum(axis=(1, 2)), lambda out, label: (out - label).swapaxes(0, 1)])
def test_a_loss_for_each_row_may_have_any_other_axes(loss, rows):
    out, label = numbers(rows, 3, 2), numbers(rows, 3, 2, seed=1)
    ((total,),) = fed(head_of(loss, [rows, rows], [label]), 0, [out])
    np.testing.assert_allclose(total.asnumpy(), loss(out, label).sum().asnumpy(), 1e-4)


def test_a_loss_of_a_single_row_is_its_own_mean():
    ((total,),) = fed(head_of(lambda out: out.mean(), [1]), 0, [mx.nd.array([[1, 2]], ctx=HERE)])
    assert total.asscalar() == 1.5


def test_what_is_no_array_is_refused_as_a_loss():
    with pytest.raises(ValueError, match="the loss returned a tuple; let it return one array"):
        fed(head_of(lambda out: (out, out.mean()), [4]), 0, [numbers(4, 3)])


def test_a_mean_over_the_batch_is_that_of_all_microbatches():
    outs = [numbers(rows, 3, seed=rows) for rows in (2, 3)]
    head = head_of(lambda out: out.square().sum(axis=1), [2, 3], reduction="mean")
    totals = [fed(head, m, [out])[0][0] for m, out in enumerate(outs)]
    whole = np.concatenate([out.asnumpy() for out in outs])
    np.testing.assert_allclose(sum(t.asscalar() for t in totals), (whole ** 2).sum(axis=1).mean(), 1e-5)
    for m, out in enumerate(outs):
        ((grad,),) = head.backward(m, mx.nd.ones((1,), ctx=HERE))
        np.testing.assert_allclose(grad.asnumpy(), 2 * out.asnumpy() / 5, 1e-5)
