"""All ways to cut a chain, for planners to be compared with."""
import itertools

from hypothesis import strategies as st

SMALL = st.integers(0, 5)


def ranges(counts):
    """Bounds of each stage's layers."""
    bounds = [0, *itertools.accumulate(counts)]
    return list(zip(bounds, bounds[1:]))


def all_partitions(num_layers, num_stages):
    """Every way to cut a chain into contiguous stages."""
    for cuts in itertools.combinations(range(1, num_layers), num_stages - 1):
        yield [stop - start for start, stop in zip((0, *cuts), (*cuts, num_layers))]


def total_sent(counts, transfer):
    return sum(transfer[stop - 1] for _, stop in ranges(counts)[:-1])
