"""A softmax split over contexts, against the undivided one, and what one context does."""
import mxnet as mx
import numpy as np
import pytest
from helpers.plain import assert_same, initialized, to_array, trace, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.nn import LabelSmoothedLoss, Projection, ShardedSoftmaxLoss
from mxmp.nn.sharded_softmax import SoftmaxShard

UNITS = 5


def contexts(count):
    return [mx.cpu(i) for i in range(count)]


def pair(tmp_path, vocab, count, smoothing=0.0, layout="TNC", hybridize=False, dtype="float32"):
    """A sharded loss and the undivided function of the same parameters, with a list of these."""
    projection = Projection(vocab, UNITS)
    projection.cast(dtype)
    initialized(projection)
    projection.save_parameters(str(tmp_path / "projection.params"))
    sharded = ShardedSoftmaxLoss(vocab, contexts(count), label_smoothing=smoothing, layout=layout, dtype=dtype)
    sharded.initialize()
    sharded.load_parameters(str(tmp_path / "projection.params"))
    if hybridize:
        sharded.hybridize()
    loss = LabelSmoothedLoss(smoothing, dtype, layout)
    return sharded, projection, lambda hidden, *labels: loss(projection(hidden), *labels)


def batch(steps, rows, vocab, layout, seed=0):
    shape = (steps, rows, UNITS) if layout == "TNC" else (rows, steps, UNITS)
    return 2 * uniform(*shape, seed=seed), np.random.RandomState(seed).randint(0, vocab, (rows, steps))


def joined(sharded, name, what="grad"):
    """A parameter of all shards in one piece."""
    return np.concatenate([getattr(getattr(shard, name), what)().asnumpy() for shard in sharded.shards])


@settings(deadline=None, max_examples=40)
@given(steps=st.integers(1, 4), lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4), vocab=st.integers(1, 12),
       count=st.integers(1, 4), smoothing=st.sampled_from([0, 0.1, 0.9]), layout=st.sampled_from(["TNC", "NTC"]),
       masked=st.booleans(), hybridize=st.booleans())
def test_loss_and_every_gradient_are_those_of_the_undivided_layer(tmp_path_factory, steps, lengths, vocab, count,
                                                                  smoothing, layout, masked, hybridize):
    sharded, projection, whole = pair(tmp_path_factory.mktemp("file"), vocab, min(count, vocab), smoothing, layout,
                                      hybridize, dtype="float64")
    hidden, label = batch(steps, len(lengths), vocab, layout)
    arrays = [hidden, label] + ([np.minimum(lengths, steps)] if masked else [])
    actual = trace(sharded, *arrays, dtype="float64") + [joined(sharded, name) for name in ("weight", "bias")]
    assert_same(actual, trace(whole, *arrays, block=projection, dtype="float64"), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0, 0.1])
def test_single_precision_agrees_to_rounding_even_for_large_logits(tmp_path, smoothing):
    sharded, projection, whole = pair(tmp_path, 11, 3, smoothing)
    hidden, label = batch(4, 3, 11, "TNC")
    for scale in (1, 100):  # exp of the largest logits, about 500, is out of range
        actual = trace(sharded, scale * hidden, label) + [joined(sharded, name) for name in ("weight", "bias")]
        assert_same(actual, trace(whole, scale * hidden, label, block=projection), rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("layout", ["TNC", "NTC"])
def test_a_label_outside_the_vocabulary_counts_as_the_nearest_inside(tmp_path, layout):
    sharded, projection, whole = pair(tmp_path, 7, 3, layout=layout)
    hidden, label = batch(4, 3, 7, layout)[0], np.array([[-1, 0, 6, 7], [-9, 3, 100, 6], [1, 2, 3, 4]])
    actual = trace(sharded, hidden, label) + [joined(sharded, name) for name in ("weight", "bias")]
    assert_same(actual, trace(whole, hidden, np.clip(label, 0, 6), block=projection), atol=1e-5)


def test_the_input_may_be_anywhere_and_the_loss_is_there_too(tmp_path):
    sharded, _, whole = pair(tmp_path, 7, 2)
    hidden, label = batch(2, 3, 7, "TNC")
    expected = whole(to_array(hidden), to_array(label)).asnumpy()
    for ctx in (mx.cpu(0), mx.cpu(1), mx.cpu(3)):
        loss = sharded(to_array(hidden, ctx=ctx), to_array(label, ctx=ctx))
        assert loss.context == ctx
        np.testing.assert_allclose(loss.asnumpy(), expected, 1e-5)


def test_no_context_has_more_than_its_rows(tmp_path):
    sharded, _, _ = pair(tmp_path, 8, 3)
    assert [shard.weight.shape[0] for shard in sharded.shards] == [2, 3, 3]
    for shard, context in zip(sharded.shards, contexts(3)):
        for parameter in (shard.weight, shard.bias):
            assert [array.context for array in parameter.list_data() + parameter.list_grad()] == [context] * 2
    assert sharded.contexts == contexts(3)


def test_no_array_of_a_pass_is_as_wide_as_the_vocabulary(tmp_path, monkeypatch):
    sharded, projection, _ = pair(tmp_path, 40, 4)
    hidden, label = batch(2, 3, 40, "TNC")
    shapes = []
    invoke = mx.ndarray.register._imperative_invoke

    def recording(*args, **kwargs):
        out = invoke(*args, **kwargs)
        shapes.extend(array.shape for array in (out if isinstance(out, list) else [out]))
        return out

    for module in vars(mx.ndarray).values():
        if getattr(module, "_imperative_invoke", None) is invoke:
            monkeypatch.setattr(module, "_imperative_invoke", recording)
    projection(to_array(hidden))
    assert shapes.pop()[-1] == 40  # so that the recording sees what it is for
    shapes.clear()
    sharded(to_array(hidden), to_array(label))
    sharded.top_k(to_array(hidden), 3)
    assert shapes and max(max(shape, default=0) for shape in shapes) <= 4 * 3


@settings(deadline=None, max_examples=30)
@given(vocab=st.integers(1, 12), count=st.integers(1, 4), data=st.data(), shape=st.sampled_from([(3,), (2, 3)]))
def test_top_k_is_that_of_all_logits(tmp_path_factory, vocab, count, data, shape):
    k = data.draw(st.integers(1, vocab))
    sharded, projection, _ = pair(tmp_path_factory.mktemp("file"), vocab, min(count, vocab))
    hidden = to_array(2 * uniform(*shape, UNITS), ctx=mx.cpu(1))
    log_probs, tokens = sharded.top_k(hidden, k)
    assert log_probs.context == tokens.context == mx.cpu(1) and tokens.dtype == np.int32
    expected = mx.nd.log_softmax(projection(hidden.as_in_context(mx.cpu(0)))).asnumpy()
    order = np.argsort(-expected, axis=-1)[..., :k]
    np.testing.assert_array_equal(tokens.asnumpy(), order)
    np.testing.assert_allclose(log_probs.asnumpy(), np.take_along_axis(expected, order, -1), 1e-5, 1e-5)


@pytest.mark.parametrize("k", [0, 8])
def test_top_k_refuses_a_number_out_of_range(tmp_path, k):
    sharded, _, _ = pair(tmp_path, 7, 2)
    with pytest.raises(ValueError, match=f"k must be from 1 to the vocabulary's size, 7; got {k}"):
        sharded.top_k(to_array(uniform(1, UNITS)), k)


def test_the_file_is_that_of_a_projection_and_loads_into_any_number_of_contexts(tmp_path):
    sharded, projection, _ = pair(tmp_path, 7, 3)
    path = str(tmp_path / "sharded.params")
    sharded.save_parameters(path)
    expected = projection.dense.weight.data().asnumpy()
    assert {name: array.shape for name, array in mx.nd.load(path).items()} == {"dense.weight": (7, UNITS),
                                                                                "dense.bias": (7,)}
    other = Projection(7, UNITS)
    other.load_parameters(path)
    np.testing.assert_array_equal(other.dense.weight.data().asnumpy(), expected)
    for count in (1, 2, 7):
        again = ShardedSoftmaxLoss(7, contexts(count), UNITS)
        again.load_parameters(path)
        np.testing.assert_array_equal(joined(again, "weight", "data"), expected)
        assert again.contexts == [shard.weight.data().context for shard in again.shards] == contexts(count)


def test_a_file_of_another_vocabulary_is_refused(tmp_path):
    sharded, _, _ = pair(tmp_path, 7, 3)
    other = ShardedSoftmaxLoss(8, contexts(3), UNITS)
    with pytest.raises(ValueError, match="have 8 rows, but the file has 7; it belongs to another vocabulary"):
        other.load_parameters(str(tmp_path / "projection.params"))


@pytest.mark.parametrize("in_units", [0, UNITS])
@pytest.mark.parametrize("init", [None, mx.init.Normal(2)])
def test_the_cut_does_not_change_the_first_values(in_units, init):
    drawn = []
    for count in (1, 2, 3):
        sharded = ShardedSoftmaxLoss(7, contexts(count), in_units, weight_initializer=init)
        sharded.initialize()
        mx.random.seed(3)
        if in_units:
            sharded.initialize(force_reinit=True)
        else:
            sharded(to_array(uniform(2, 3, UNITS)), to_array(np.zeros((3, 2), int)))
        drawn.append(joined(sharded, "weight", "data"))
        assert not joined(sharded, "bias", "data").any()
    assert drawn[0].std() > 0
    np.testing.assert_array_equal(drawn[1], drawn[0])
    np.testing.assert_array_equal(drawn[2], drawn[0])
    mx.random.seed(3)
    projection = Projection(7, UNITS)
    projection.initialize(force_reinit=True)
    if init is None:
        np.testing.assert_array_equal(projection.dense.weight.data().asnumpy(), drawn[0])


def test_inside_another_network_it_is_initialized_saved_and_moved_like_any_block(tmp_path):
    net = mx.gluon.nn.Sequential()
    net.add(mx.gluon.nn.Dense(UNITS, flatten=False), ShardedSoftmaxLoss(7, contexts(2), UNITS))
    net.initialize(ctx=mx.cpu(3))
    assert net[1].contexts == contexts(2)
    net[0](to_array(uniform(2, 3, 4), ctx=mx.cpu(3)))
    net.save_parameters(str(tmp_path / "net.params"))
    assert sorted(mx.nd.load(str(tmp_path / "net.params"))) == ["0.bias", "0.weight", "1.dense.bias", "1.dense.weight"]
    net.collect_params().reset_ctx(mx.cpu(1))  # one device afterwards
    assert net[1].contexts == [mx.cpu(1)] * 2
    hidden, label = net[0](to_array(uniform(2, 3, 4), ctx=mx.cpu(1))), np.zeros((3, 2), int)
    assert net[1](hidden, to_array(label)).context == mx.cpu(1)


def test_repr_says_where_the_rows_live():
    assert repr(ShardedSoftmaxLoss(7, contexts(2))) == "ShardedSoftmaxLoss(7, cpu(0), cpu(1))"


@pytest.mark.parametrize("options, message", [
    ({"contexts": []}, "7 tokens cannot be split over 0 contexts"),
    ({"contexts": mx.cpu(0)}, r"contexts must be a sequence of contexts, .*; got cpu\(0\)"),
    ({"contexts": contexts(8)}, "7 tokens cannot be split over 8 contexts; give at least one context and at most one"),
    ({"contexts": contexts(1), "label_smoothing": 1}, "smoothing must be at least 0 and below 1, got 1"),
    ({"contexts": contexts(1), "layout": "NCT"}, "layout must be 'TNC' or 'NTC', got 'NCT'")])
def test_refuses_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        ShardedSoftmaxLoss(7, **options)


def shard(tokens=range(3, 7), add_up=True, units=5, vocab=9):
    return initialized(SoftmaxShard(tokens, vocab, mx.cpu(0), units, add_up, None, {}, "float32"))


def logits_of(block, data):
    return data @ block.weight.data().asnumpy().T + block.bias.data().asnumpy()


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("add_up", [False, True])
def test_gives_what_a_softmax_over_all_rows_needs(add_up, hybridize):
    block = shard(add_up=add_up)
    if hybridize:
        block.hybridize()
    data, label = uniform(2, 3, 5), np.array([[-3, 0, 3], [2, 4, 5]])  # of the tokens 3 to 6, counted from the first
    logits = logits_of(block, data)
    logit = np.take_along_axis(logits, np.clip(label, 0, 3)[:, :, None], -1)[:, :, 0]
    expected = [logit, logit - np.log(np.exp(logits).sum(-1))] + ([logits.sum(-1)] if add_up else [])
    assert_same([array.asnumpy() for array in block(to_array(data), to_array(label))], expected, atol=1e-5)
    np.testing.assert_array_equal(block.has(to_array(label)).asnumpy(), [[0, 1, 1], [1, 0, 0]])


@pytest.mark.parametrize("label", [-3, 0, 3, 5])
def test_a_logits_gradient_is_its_share_and_the_targets(label):
    block = shard()
    data = uniform(1, 1, 5)
    logits = logits_of(block, data)[0, 0]
    heads = [uniform(1, 1, seed=200 + i)[0, 0] for i in range(3)]  # those that trace gives the outputs
    grad = -heads[1] * np.exp(logits) / np.exp(logits).sum() + heads[2]
    grad[np.clip(label, 0, 3)] += heads[0] + heads[1]
    actual = trace(block, data, np.array([[label]]), block=block)[3:]
    assert_same(actual, [(grad @ block.weight.data().asnumpy())[None, None], np.outer(grad, data[0, 0]), grad],
                atol=1e-5)


def test_its_best_tokens_are_numbered_as_in_the_whole_vocabulary():
    block = shard()
    data = uniform(2, 5)
    log_sum, values, tokens = block.top_k(to_array(data), 10)  # it has four
    logits = logits_of(block, data)
    assert_same([log_sum.asnumpy(), values.asnumpy()], [np.log(np.exp(logits).sum(-1)), -np.sort(-logits)], atol=1e-5)
    np.testing.assert_array_equal(tokens.asnumpy(), 3 + np.argsort(-logits))
