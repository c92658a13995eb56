"""Options of a translation run: errors of its own."""
import pytest

from mxmp.tasks.translation.options import Options


@pytest.mark.parametrize("name", ["beam_size", "max_length", "vocab_size"])
def test_impossible_values_are_named(name):
    with pytest.raises(ValueError, match=f"--{name} must be at least 1, got 0"):
        Options(**{name: 0})
