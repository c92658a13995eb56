"""Options: flags, defaults of the data sets, errors."""
import argparse
from dataclasses import fields

import pytest

from mxmp.translation.options import PRESETS, Options, add_flags


def parse(*arguments):
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return Options(**vars(parser.parse_args(arguments)))


def test_no_flags_give_the_defaults():
    assert parse() == Options()


def test_flags_have_their_options_type():
    options = parse("--vocab_size", "50", "--dropout", "0.5", "--separate_vocab", "--plan", "3,5")
    assert (options.vocab_size, options.dropout, options.separate_vocab, options.plan) == (50, 0.5, True, "3,5")


@pytest.mark.parametrize("dataset", PRESETS)
def test_filling_takes_the_data_sets_defaults_where_nothing_was_said(dataset):
    options = parse("--dataset", dataset, "--hidden_size", "7").filled()
    assert options.hidden_size == 7 and options.embed_size == PRESETS[dataset]["embed_size"]
    assert all(getattr(options, name) is not None for name in PRESETS[dataset])


def test_every_option_has_help():
    assert [f.name for f in fields(Options) if not f.metadata["help"]] == []


@pytest.mark.parametrize("wrong, message", [
    (("--batch_size", "0"), "--batch_size must be at least 1, got 0"), (("--epochs", "-1"), "--epochs must be"),
    (("--learning_rate", "0"), "--learning_rate must be positive, got 0.0"), (("--resume",), "needs --output_dir")])
def test_impossible_values_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        parse(*wrong)
