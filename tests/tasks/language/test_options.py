"""Options: defaults of the data sets, errors."""
from dataclasses import fields

import pytest

from mxmp.command import parse_options
from mxmp.tasks.language.options import FIXED, PRESETS, Options


@pytest.mark.parametrize("dataset", PRESETS)
def test_filling_takes_the_data_sets_defaults_where_nothing_was_said(dataset):
    options = Options(dataset=dataset, hidden_size=7).filled()
    assert options.hidden_size == 7 and options.embed_size == PRESETS[dataset]["embed_size"]
    assert all(getattr(options, name) is not None for name in PRESETS[dataset])


@pytest.mark.parametrize("flags, dataset, order", [
    ([], "numbers", "shuffled"), (["--text", "a"], "files", "kept"), (["--train_text", "a"], "files", "kept"),
    (["--dataset", "tatoeba"], "tatoeba", "shuffled"),
    (["--text", "a", "--line_order", "shuffled"], "files", "shuffled")])
def test_files_choose_themselves(flags, dataset, order):
    options = parse_options(Options, FIXED, "a test", flags)
    assert (options.dataset, options.line_order) == (dataset, order)


def test_every_option_has_help():
    assert [f.name for f in fields(Options) if not f.metadata["help"]] == []
    assert set(FIXED) <= {f.name for f in fields(Options)}


@pytest.mark.parametrize("wrong, message", [
    ({"bptt": 0}, "--bptt must be at least 1, got 0"), ({"learning_rate": 0.0}, "--learning_rate must be positive"),
    ({"resume": True}, "needs --output_dir"), ({"text": "a", "valid_text": "b"}, "--text is split by itself")])
def test_impossible_values_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Options(**wrong)
