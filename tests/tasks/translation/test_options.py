"""Options of a translation run: errors of its own."""
import pytest

from mxmp.command import parse_options
from mxmp.tasks.translation.options import FIXED, Options


@pytest.mark.parametrize("name", ["beam_size", "max_length", "vocab_size"])
def test_impossible_values_are_named(name):
    with pytest.raises(ValueError, match=f"--{name} must be at least 1, got 0"):
        Options(**{name: 0})


@pytest.mark.parametrize("flags, dataset, size", [
    ([], "numbers", 192), (["--test_tgt", "a"], "files", 384), (["--dataset", "files"], "files", 384)])
def test_files_choose_themselves(flags, dataset, size):
    options = parse_options(Options, FIXED, "a test", flags)
    assert (options.dataset, options.hidden_size) == (dataset, size)


def test_files_beside_another_data_set_are_refused():
    with pytest.raises(ValueError, match="--train_src a would not be read: --dataset is multi30k; leave"):
        Options(dataset="multi30k", train_src="a")
