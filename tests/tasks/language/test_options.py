"""Options of a language model's run: files that choose themselves, errors of its own."""
import pytest

from mxmp.command import parse_options
from mxmp.tasks.language.options import FIXED, Options


@pytest.mark.parametrize("flags, dataset, order", [
    ([], "numbers", "shuffled"), (["--text", "a"], "files", "kept"), (["--train_text", "a"], "files", "kept"),
    (["--dataset", "tatoeba"], "tatoeba", "shuffled"),
    (["--text", "a", "--line_order", "shuffled"], "files", "shuffled")])
def test_files_choose_themselves(flags, dataset, order):
    options = parse_options(Options, FIXED, "a test", flags)
    assert (options.dataset, options.line_order) == (dataset, order)


@pytest.mark.parametrize("wrong, message", [
    ({"bptt": 0}, "--bptt must be at least 1, got 0"), ({"sample_length": 0}, "--sample_length must be at least 1"),
    ({"text": "a", "valid_text": "b"}, "--text is split by itself"),
    ({"valid_text": "b"}, "--valid_text b would not be read: --dataset is numbers; leave out one of them")])
def test_impossible_values_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Options(**wrong)
