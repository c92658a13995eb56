"""Flags: their types, and what a resumed run brings along."""
import argparse
from dataclasses import dataclass
from typing import Tuple

import pytest

from mxmp.command import add_flags, flag, parse_options, save_options, saved_options
from mxmp.tasks.translation.options import FIXED, Options


def parse(*arguments):
    return parse_options(Options, FIXED, "a test", arguments)


def test_no_flags_give_the_defaults():
    assert parse() == Options().filled()


def test_flags_have_their_options_type():
    options = parse("--vocab_size", "50", "--dropout", "0.5", "--separate_vocab", "--plan", "3,5")
    assert (options.vocab_size, options.dropout, options.separate_vocab, options.plan) == (50, 0.5, True, "3,5")


def test_a_resumed_run_keeps_its_options_unless_told_otherwise(tmp_path):
    begun = parse("--dropout", "0.5", "--epochs", "7", "--output_dir", str(tmp_path))
    assert save_options(tmp_path, begun) == []
    resumed = parse("--epochs", "9", "--output_dir", str(tmp_path), "--resume")
    assert (resumed.dropout, resumed.epochs, resumed.resume) == (0.5, 9, True)
    assert save_options(tmp_path, resumed) == ["--epochs was 7, is 9 now"]
    assert saved_options(tmp_path, Options)["epochs"] == 9


@pytest.mark.parametrize("flag, value", [("hidden_size", "24"), ("max_length", "9"), ("seed", "2"), ("tgt_lang", "de")])
def test_what_shapes_the_model_or_the_data_cannot_change(tmp_path, flag, value):
    save_options(tmp_path, parse())
    with pytest.raises(ValueError, match=f"--{flag} was .* and is {value} now; resume with the same"):
        parse("--resume", "--output_dir", str(tmp_path), f"--{flag}", value)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "options.json").write_text("{")
    with pytest.raises(ValueError, match="cannot read .*options.json"):
        parse("--resume", "--output_dir", str(tmp_path))


def test_resuming_nothing_begins_with_the_flags_given(tmp_path):
    assert parse("--resume", "--output_dir", str(tmp_path), "--epochs", "3").epochs == 3


def test_several_default_values_are_shown_as_they_are_written():
    @dataclass
    class Kind:
        sizes: Tuple[int, ...] = flag((64, 256), "rows", type=int)

    parser = argparse.ArgumentParser()
    add_flags(parser, Kind)
    assert "rows (default 64,256)" in parser.format_help()
