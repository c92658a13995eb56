"""Parameters that know their context, and those that are some rows of one."""
import mxnet as mx
import numpy as np
import pytest

from mxmp.nn.parameters import DrawnRows, PinnedParameter, RowsParameter, Whole


def test_it_is_initialized_on_its_own_context_whatever_is_asked_for():
    placed = PinnedParameter("p", mx.cpu(1), shape=(2,))
    placed.initialize(ctx=mx.cpu(0))
    assert placed.list_ctx() == [mx.cpu(1)]


def test_deferred_initialization_goes_there_too():
    placed = PinnedParameter("p", mx.cpu(1), shape=(2, 0), allow_deferred_init=True)
    placed.initialize()
    placed.shape = (2, 3)
    placed._finish_deferred_init()
    assert placed.data().context == mx.cpu(1)


@pytest.mark.parametrize("initialized", [False, True])
def test_loading_leaves_it_there(initialized):
    placed = PinnedParameter("p", mx.cpu(1), shape=(2,))
    if initialized:
        placed.initialize()
    placed._load_init(mx.nd.array([3, 4]), mx.cpu(0))
    assert placed.list_ctx() == [mx.cpu(1)]
    np.testing.assert_array_equal(placed.data().asnumpy(), [3, 4])


def test_reset_ctx_moves_it_for_good():
    placed = PinnedParameter("p", mx.cpu(1), shape=(2,))
    placed.initialize()
    placed.reset_ctx([mx.cpu(0)])
    assert placed.list_ctx() == [mx.cpu(0)]
    placed.initialize(ctx=mx.cpu(2), force_reinit=True)
    assert placed.list_ctx() == [mx.cpu(2)]


def test_without_a_context_it_is_an_ordinary_parameter():
    ordinary = PinnedParameter("p", shape=(2,))
    ordinary.initialize(ctx=[mx.cpu(0), mx.cpu(2)])
    assert ordinary.list_ctx() == [mx.cpu(0), mx.cpu(2)]


def cut(*sizes, width=2):
    drawn, starts = {}, np.cumsum([0, *sizes]).tolist()
    return [RowsParameter(f"shard{i}_weight", mx.cpu(i), start, shape=(size, width),
                          init=DrawnRows(mx.init.Uniform(1), sum(sizes), start, drawn))
            for i, (size, start) in enumerate(zip(sizes, starts))]


def values(shards):
    return np.concatenate([shard.data().asnumpy() for shard in shards])


def test_the_shards_of_a_drawing_are_the_drawing():
    shards, whole = cut(2, 1, 3), mx.nd.zeros((6, 2))
    mx.random.seed(1)
    for shard in shards:
        shard.initialize()
    mx.random.seed(1)
    mx.init.Uniform(1)._init_weight("weight", whole)
    np.testing.assert_array_equal(values(shards), whole.asnumpy())


def test_each_initialization_draws_anew():
    shards = cut(2, 2)
    drawings = []
    for _ in range(2):
        for shard in shards:
            shard.initialize(force_reinit=True)
        drawings.append(values(shards))
    assert (drawings[0] != drawings[1]).all()


def test_a_whole_is_read_and_written_in_one_piece():
    shards, rows = cut(1, 3), mx.nd.arange(8).reshape((4, 2))
    whole = Whole(shards)
    whole._load_init(rows, ctx=None, cast_dtype=False, dtype_source="current")
    assert [shard.list_ctx() for shard in shards] == [[mx.cpu(0)], [mx.cpu(1)]]
    np.testing.assert_array_equal(shards[1].data().asnumpy(), rows.asnumpy()[1:])
    np.testing.assert_array_equal(whole._reduce().asnumpy(), rows.asnumpy())


def test_another_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="shard0_weight and its other parts have 4 rows, but the file has 5"):
        Whole(cut(1, 3))._load_init(mx.nd.zeros((5, 2)), ctx=None)
