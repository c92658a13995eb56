"""Blocks that take lengths take any: what is outside counts as the nearest possible one, and nothing is overwritten."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.odd_lengths import ODD, STEPS, blocks, traced
from helpers.plain import assert_same, initialized, trace

TESTS = Path(__file__).parents[1]
LEAST = {"MaskedAttention": 1}  # a softmax over nothing would be NaN


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """What a program of its own computed with odd lengths."""
    file = tmp_path_factory.mktemp("odd") / "results.npz"
    done = subprocess.run([sys.executable, str(TESTS / "helpers" / "odd_lengths.py"), str(file)], capture_output=True,
                          text=True, timeout=300, env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"})
    assert done.returncode == 0, f"it ended with {done.returncode}: {done.stderr}"
    return np.load(file)


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("dtype", ODD)
@pytest.mark.parametrize("name", blocks())
def test_a_length_outside_counts_as_the_nearest_inside(odd, name, dtype, hybridize):
    lengths = np.clip(np.nan_to_num(np.array(ODD[dtype], "float64"), nan=0), LEAST.get(name, 0), STEPS)
    expected = traced(name, dtype, hybridize, lengths.astype(int))
    prefix = f"{name}/{dtype}/{hybridize}/"
    actual = [odd[prefix + str(i)] for i in range(len([key for key in odd.files if key.startswith(prefix)]))]
    assert all(np.isfinite(array).all() for array in expected)
    assert_same(actual, expected)


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("name", blocks())
def test_no_gradient_belongs_to_lengths(name, hybridize):
    block, arrays = blocks()[name]
    initialized(block, hybridize=hybridize)
    lengths = 1.0 + np.arange(len(ODD["int32"])) % STEPS  # numbers of floating point get a gradient
    for _ in range(3):
        grads = trace(block, *arrays, lengths)
        assert not grads[-1].any() and grads[-1].shape == lengths.shape
