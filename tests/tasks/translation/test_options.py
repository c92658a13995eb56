"""Options: defaults of the data sets, errors."""
from dataclasses import fields

import pytest

from mxmp.tasks.translation.options import PRESETS, Options


@pytest.mark.parametrize("dataset", PRESETS)
def test_filling_takes_the_data_sets_defaults_where_nothing_was_said(dataset):
    options = Options(dataset=dataset, hidden_size=7).filled()
    assert options.hidden_size == 7 and options.embed_size == PRESETS[dataset]["embed_size"]
    assert all(getattr(options, name) is not None for name in PRESETS[dataset])


def test_every_option_has_help():
    assert [f.name for f in fields(Options) if not f.metadata["help"]] == []


@pytest.mark.parametrize("wrong, message", [
    ({"batch_size": 0}, "--batch_size must be at least 1, got 0"), ({"epochs": -1}, "--epochs must be"),
    ({"learning_rate": 0.0}, "--learning_rate must be positive, got 0.0"), ({"resume": True}, "needs --output_dir")])
def test_impossible_values_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Options(**wrong)
