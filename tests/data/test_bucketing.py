"""The order of an epoch: complete, a function of seed and epoch, of similar lengths, and the one it has always been."""
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.data import bucket_batches

LENGTHS = np.random.RandomState(0).randint(1, 30, (500, 2))


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=60), batch_size=st.integers(1, 20),
       num_buckets=st.integers(1, 30), seed=st.integers(0, 9), epoch=st.integers(0, 9), shuffle=st.booleans())
def test_sequences_of_one_length_are_all_there_longest_first(lengths, batch_size, num_buckets, seed, epoch, shuffle):
    batches = bucket_batches(np.array(lengths), batch_size, seed, epoch, shuffle, num_buckets)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert sum(len(batch) < batch_size for batch in batches) <= 1
    for batch in batches:
        assert [lengths[i] for i in batch] == sorted((lengths[i] for i in batch), reverse=True)


def test_sequences_of_one_length_are_in_company_of_theirs():
    batches = bucket_batches(LENGTHS[:, 0], 10, seed=0, epoch=0)
    assert max(np.ptp(LENGTHS[batch, 0]) for batch in batches) <= 2
    assert batches != bucket_batches(LENGTHS[:, 0], 10, seed=0, epoch=1)
    assert batches == bucket_batches(np.repeat(LENGTHS[:, :1], 2, axis=1), 10, seed=0, epoch=0)


@pytest.mark.parametrize("arguments, order", [
    ({"epoch": 1}, [[8, 5], [4, 3], [1, 0], [6, 2], [7]]), ({"seed": 1}, [[7], [8, 5], [6, 2], [1, 0], [4, 3]]),
    ({"shuffle": False}, [[7], [6, 2], [8, 5], [1, 0], [4, 3]]),
    ({"num_buckets": 2}, [[8, 5], [1], [2, 3], [4, 6], [0, 7]])], ids=str)
def test_a_small_order_stays_as_it_is(arguments, order):
    assert bucket_batches(LENGTHS[:9], 2, **{"seed": 0, "epoch": 0, **arguments}) == order


def test_large_orders_stay_as_they_are():
    """A run that is resumed goes on in the middle of an epoch, and measurements are repeated in the same order."""
    orders = [bucket_batches(LENGTHS, batch_size, 3, epoch, shuffle, num_buckets) for batch_size in (1, 7, 64)
              for epoch in (0, 5) for shuffle in (True, False) for num_buckets in (1, 5, 100)]
    assert hashlib.sha256(str(orders).encode()).hexdigest()[:32] == "fc8daaa46b08d13844ba19b3ff3ca192"


def test_leaves_numpys_random_numbers_alone():
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    bucket_batches(LENGTHS, 8, seed=0, epoch=0)
    assert np.random.rand() == expected


@pytest.mark.parametrize("arguments, message", [
    ((LENGTHS[:0], 4, 0, 0), "no sentence pairs or other sequences"), ((LENGTHS, 0, 0, 0), "batch_size=0"),
    ((LENGTHS, 4, 0, 0, True, 0), "num_buckets=0")])
def test_refuses_nothing_to_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        bucket_batches(*arguments)


def test_epochs_differ_and_lengths_in_a_batch_are_alike():
    lengths = np.random.RandomState(0).randint(10, 100, 800)
    first, second = bucket_batches(lengths, 10, 1, 0), bucket_batches(lengths, 10, 1, 1)
    assert first != second != bucket_batches(lengths, 10, 2, 1)
    spread = np.mean([np.ptp([lengths[i] for i in batch]) for batch in first])
    assert spread < 0.25 * np.mean([np.ptp(lengths[i:i + 10]) for i in range(0, 800, 10)])
