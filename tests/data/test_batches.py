import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.data import BOS_ID, EOS_ID, PAD_ID, BatchLoader, SourceLoader

IDS = st.lists(st.integers(4, 999), max_size=12)
PAIRS = st.lists(st.tuples(IDS, IDS), min_size=1, max_size=60)
SIZES = {"batch_size": st.integers(1, 20), "num_buckets": st.integers(1, 30)}


def random_pairs(number):
    random = np.random.RandomState(0)
    return [(random.randint(4, 99, length).tolist(), random.randint(4, 99, length + 1).tolist())
            for length in random.randint(1, 30, number)]


def content(batches):
    return [tuple(array.asnumpy().tolist() if hasattr(array, "asnumpy") else array for array in batch)
            for batch in batches]


@settings(deadline=None, max_examples=60)
@given(pairs=PAIRS, shuffle=st.booleans(), k=st.integers(0, 9), **SIZES)
def test_an_epoch_has_every_pair_once(pairs, shuffle, k, batch_size, num_buckets):
    loader = BatchLoader(pairs, batch_size, num_buckets, shuffle=shuffle)
    seen, sizes = [], []
    for batch in loader.epoch(k):
        rows = zip(batch.src.asnumpy().tolist(), batch.src_len.asnumpy(), batch.tgt_in.asnumpy().tolist(),
                   batch.tgt_out.asnumpy().tolist(), batch.tgt_len.asnumpy())
        for src, src_len, tgt_in, tgt_out, tgt_len in rows:
            assert src[src_len - 1] == EOS_ID and tgt_in[0] == BOS_ID and tgt_out[tgt_len - 1] == EOS_ID
            assert tgt_in[1:tgt_len] == tgt_out[:tgt_len - 1]
            assert set(src[src_len:] + tgt_in[tgt_len:] + tgt_out[tgt_len:]) <= {PAD_ID}
            seen.append((src[:src_len - 1], tgt_out[:tgt_len - 1]))
        sizes.append(len(batch.src))
    assert sorted(seen) == sorted(pairs)
    assert len(sizes) == len(loader) and sum(size < batch_size for size in sizes) <= 1


@settings(deadline=None, max_examples=40)
@given(pairs=PAIRS, batch_size=st.integers(1, 20), max_positions=st.integers(1, 60))
def test_a_limit_of_positions_cuts_batches_and_keeps_their_order(pairs, batch_size, max_positions):
    plain = list(BatchLoader(pairs, batch_size, shuffle=False).epoch(0))
    limited = list(BatchLoader(pairs, batch_size, shuffle=False, max_positions=max_positions).epoch(0))
    for batch in limited:
        assert len(batch.src) == 1 or max(batch.src.size, batch.tgt_in.size) <= max_positions
    rows = [[(row[:length].tolist(), out[:n].tolist()) for batch in batches for row, length, out, n in zip(
        *(array.asnumpy() for array in (batch.src, batch.src_len, batch.tgt_out, batch.tgt_len)))]
        for batches in (plain, limited)]
    assert rows[0] == rows[1] and sum(batch.num_words for batch in limited) == sum(batch.num_words for batch in plain)


def test_batches_within_the_limit_stay_as_they_are():
    pairs = random_pairs(50)
    assert content(BatchLoader(pairs, 8, shuffle=False, max_positions=8 * 31).epoch(0)) == content(
        BatchLoader(pairs, 8, shuffle=False).epoch(0))


@settings(deadline=None, max_examples=20)
@given(pairs=PAIRS, k=st.integers(0, 9), start=st.integers(0, 9), **SIZES)
def test_an_epoch_depends_on_seed_and_number_only(pairs, k, start, batch_size, num_buckets):
    loader = BatchLoader(pairs, batch_size, num_buckets, seed=5)
    list(loader.epoch(k + 1))
    first = content(loader.epoch(k))
    assert content(BatchLoader(pairs, batch_size, num_buckets, seed=5).epoch(k, start)) == first[start:]


def test_epochs_and_seeds_put_different_sentences_together():
    pairs = [([4 + i], [4 + i]) for i in range(64)]

    def groups(k, seed=0):
        return {frozenset(batch.src[:, 0].asnumpy()) for batch in BatchLoader(pairs, 8, seed=seed).epoch(k)}

    assert not groups(0) & groups(1)
    assert not groups(0) & groups(0, seed=1)


def test_without_shuffling_all_epochs_are_the_same():
    loader = BatchLoader(random_pairs(50), 8, shuffle=False)
    assert content(loader.epoch(0)) == content(loader.epoch(7))


def test_padding_share_is_that_of_the_arrays_and_low():
    loader = BatchLoader(random_pairs(2000), 16)
    batches = list(loader.epoch(0))
    positions = sum(batch.src.size + batch.tgt_in.size for batch in batches)
    assert loader.padding_share == pytest.approx(1 - sum(batch.num_words for batch in batches) / positions)
    assert loader.padding_share < 0.05


def test_counts_and_types():
    batch = next(BatchLoader([([5, 6], [7]), ([5], [8, 9])], 2).epoch(0))
    assert (batch.num_tokens, batch.num_words) == (5, 10)
    for array in batch[:5]:
        assert array.dtype == np.int32 and array.context.device_type == "cpu"
    assert batch.src_len.asnumpy().tolist() == [3, 2]


@pytest.mark.parametrize("arguments, message", [
    (([], 4), "no sentence pairs"), (([([4], [4])], 0), "batch_size=0"),
    (([([4], [4])], 1, 0), "num_buckets=0")])
def test_refuses_nothing_to_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchLoader(*arguments)


@settings(deadline=None, max_examples=30)
@given(sentences=st.lists(IDS, max_size=40), batch_size=st.integers(1, 9))
def test_source_batches_restore_the_order(sentences, batch_size):
    loader = SourceLoader(sentences, batch_size)
    restored, lengths = {}, []
    for indices, src, src_len in loader:
        for index, row, length in zip(indices, src.asnumpy().tolist(), src_len.asnumpy()):
            assert row[length - 1] == EOS_ID and set(row[length:]) <= {PAD_ID}
            restored[index] = row[:length - 1]
            lengths.append(length)
    assert [restored[index] for index in range(len(sentences))] == sentences
    assert lengths == sorted(lengths, reverse=True)
    assert len(loader) == -(-len(sentences) // batch_size)


@settings(deadline=None, max_examples=40)
@given(sentences=st.lists(IDS, max_size=40), batch_size=st.integers(1, 9), max_positions=st.integers(1, 60))
def test_source_batches_have_no_more_positions_than_allowed(sentences, batch_size, max_positions):
    loader, restored = SourceLoader(sentences, batch_size, max_positions), {}
    for indices, src, src_len in loader:
        assert len(indices) == 1 or src.size <= max_positions and len(indices) <= batch_size
        restored.update({i: row[:n - 1].tolist() for i, row, n in zip(indices, src.asnumpy(), src_len.asnumpy())})
    assert [restored[index] for index in range(len(sentences))] == sentences
    assert len(loader) == len(list(loader))


def test_one_long_sentence_is_a_batch_of_its_own():
    loader = SourceLoader([[4] * 5] * 10 + [[4] * 999] + [[4] * 5] * 10, 7, max_positions=7 * 6)
    assert [src.shape for _, src, _ in loader] == [(1, 1000), (6, 6), (7, 6), (7, 6)]


def test_source_batches_need_a_size():
    with pytest.raises(ValueError, match="batch_size=0"):
        SourceLoader([[4]], 0)
