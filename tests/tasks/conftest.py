"""Tiny corpora, and runs on them that nothing disturbed."""
import pytest
from helpers import programs

from mxmp.data import load_numbers

TRANSLATION = ["--dataset", "files", "--vocab_size", "120", "--embed_size", "16", "--hidden_size", "16", "--batch_size",
               "16", "--epochs", "2", "--log_interval", "1", "--save_interval", "3", "--warmup_steps", "4",
               "--num_microbatches", "2", "--beam_size", "2", "--dropout", "0.2", "--fingerprint", "1"]
LANGUAGE = ["--min_count", "2", "--embed_size", "16", "--hidden_size", "12", "--num_layers", "3", "--batch_size", "4",
            "--bptt", "10", "--num_chunks", "3", "--epochs", "2", "--log_interval", "1", "--save_interval", "3",
            "--warmup_steps", "4", "--sample_length", "6", "--fingerprint", "1"]


def trained(program, folder, *flags):
    done = programs.run(program, *flags, "--output_dir", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def translation_flags(tmp_path_factory):
    """The flags of a run on 160 number phrases: 10 steps an epoch."""
    folder, arguments = tmp_path_factory.mktemp("corpus"), list(TRANSLATION)
    corpus = load_numbers(num_train=160, num_valid=6, num_test=5)
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            path = folder / f"{split}.{side}"
            path.write_text("\n".join(getattr(getattr(corpus, split), side)) + "\n", encoding="utf-8")
            arguments += [f"--{split}_{side}", str(path)]
    return [*arguments, "--cache_dir", str(folder / "cache")]


@pytest.fixture(scope="session")
def translation_run(translation_flags, tmp_path_factory):
    """The folder of a translation run."""
    return trained("train_translation.py", tmp_path_factory.mktemp("run") / "whole", *translation_flags)


@pytest.fixture(scope="session")
def language_flags(tmp_path_factory):
    """The flags of a run on 150 number phrases."""
    folder, arguments = tmp_path_factory.mktemp("text"), list(LANGUAGE)
    corpus = load_numbers(num_train=150, num_valid=8, num_test=9)
    for split in ("train", "valid", "test"):
        path = folder / split
        path.write_text("\n".join(getattr(corpus, split).src) + "\n", encoding="utf-8")
        arguments += [f"--{split}_text", str(path)]
    return arguments


@pytest.fixture(scope="session")
def language_run(language_flags, tmp_path_factory):
    """The folder of a language model's run on two contexts."""
    return trained("train_language_model.py", tmp_path_factory.mktemp("run") / "whole", *language_flags, "--dropout",
                   "0", "--timeline_step", "2")


@pytest.fixture(scope="session", params=["translation", "language_model"])
def whole(request, translation_flags, language_flags, tmp_path_factory):
    """A program, its flags, dropout among them (random numbers too must be the same when a run is resumed), and the
    folder of a run that nothing disturbed."""
    program = f"train_{request.param}.py"
    if request.param == "translation":
        return program, translation_flags, request.getfixturevalue("translation_run")
    flags = [*language_flags, "--dropout", "0.2"]
    return program, flags, trained(program, tmp_path_factory.mktemp("run") / "dropped", *flags)
