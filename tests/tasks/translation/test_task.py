"""The translation task: its text, whole runs and what they leave, translating, errors in one line."""
import json
import math
import re
import shutil

import mxnet as mx
import pytest
from helpers import programs

from mxmp.data import Corpus, ParallelText, prepare
from mxmp.tasks import manifest
from mxmp.tasks.translation.options import Options
from mxmp.tasks.translation.task import Translation, load_corpus


def train(*arguments):
    return programs.run("train_translation.py", *arguments)


def test_own_files_that_are_not_given_are_named():
    with pytest.raises(ValueError, match="needs --train_tgt, --valid_src, --valid_tgt, --test_src, --test_tgt"):
        load_corpus(Options(dataset="files", train_src="a"))


def test_numbers_are_generated_in_the_languages_asked_for():
    corpus = load_corpus(Options(tgt_lang="de"))
    assert (corpus.src_lang, corpus.tgt_lang) == ("en", "de") and len(corpus.train) > 1000


def test_a_run_leaves_results_a_curve_a_log_and_checkpoints(translation_run):
    results = json.loads((translation_run / "results.json").read_text())
    assert results["steps"] == 20 and results["plan"]["contexts"] == ["cpu(0)", "cpu(1)"]
    assert 0 <= results["test"]["bleu"] <= 100 and results["test"]["signature"].startswith("nrefs:1|case:mixed")
    assert results["tokens_per_second"] > 0 and results["versions"]["mxnet"] == mx.__version__
    assert (translation_run / "loss.png").read_bytes().startswith(b"\x89PNG")
    log = (translation_run / "train.log").read_text()
    assert "cpu(1)" in log and "of the work" in log and "are padding" in log
    assert "BLEU with the tokenizer 13a decides which model is the best" in log and results["best_by"] == "BLEU"
    assert re.search(r"step 20/20 smoothed loss \d+\.\d+ \d+ tokens/s norm \d+\.\d+ lr", log)
    assert re.search(r"epoch 2 valid: loss \d+\.\d+ ppl \d+\.\d+ BLEU \d+\.\d+ chrF \d+\.\d+ \(length ratio", log)
    assert {p.name.split("-")[0] for p in translation_run.iterdir() if p.is_dir()} == {"best", "latest"}


def task_of(folder, valid, **flags):
    """The task of a run on a few sentences, validated on ``valid``."""
    text = ParallelText(["ab ba", "b a b", "ba ba ab"], ["ba ab", "a b a", "ab ab ba"])
    options = Options(dataset="files", embed_size=4, hidden_size=4, max_length=9, batch_size=3, beam_size=1, **flags)
    prepared = prepare(Corpus("own", "src", "tgt", text, valid, text), 12, max_length=9)
    return Translation(options, prepared, [mx.cpu(0)], folder)


@pytest.mark.parametrize("tgt, flags, decisive, line", [
    (["a", "b", "ab"], {}, "chrF", "BLEU says little, as 0 of 3 references have 4 tokens (13a) or more: chrF decides"),
    (["a b a b"] * 3, {}, "BLEU", "BLEU with the tokenizer 13a decides"),
    (["abab", "baba", "ab"], {"bleu_tokenize": "char"}, "BLEU", "BLEU with the tokenizer char decides")])
def test_the_log_says_what_decides_and_it_does(tmp_path, caplog, monkeypatch, tgt, flags, decisive, line):
    caplog.set_level("INFO", "mxmp")
    task = task_of(tmp_path, ParallelText(["a", "b", "ab"], tgt), **flags)
    quality = task._score(task._prepared.corpus.valid.src, task._valid)
    with task.pipe:
        (loss, score), criterion, text, _ = task.validate(1)
    assert score == {"BLEU": quality.bleu, "chrF": quality.chrf}[decisive] and criterion == [score, -loss]
    assert task.score_name == decisive and any(line in message for message in caplog.messages)
    assert text.startswith(f"loss {loss:.4f} ppl {math.exp(loss):.2f} BLEU ")


def test_one_long_line_takes_no_room_for_its_validation_batch(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr("mxmp.tasks.translation.task.mean_loss", lambda pipe, batches: sizes.extend(
        (len(batch.src), max(batch.src.size, batch.tgt_in.size)) for batch in batches) or 1.0)
    task = task_of(tmp_path, ParallelText(["a", "ab " * 300, "b", "a b", "ba"], ["b", "ab", "ba " * 300, "b", "ab"]))
    with task.pipe:
        task.validate(1)
    assert max(size for rows, size in sizes if rows > 1) <= 3 * 10 and sum(rows for rows, _ in sizes) == 5


def test_translations_are_as_long_as_those_of_the_validation_unless_asked_otherwise(translation_run, tmp_path):
    (checkpoint,) = translation_run.glob("best-*")
    described = json.loads((checkpoint / "checkpoint.json").read_text())
    described["options"]["max_length"] = 1
    shutil.copytree(checkpoint, tmp_path / "short")
    (tmp_path / "short" / "checkpoint.json").write_text(json.dumps(described))
    manifest.write(tmp_path / "short")
    texts = [programs.run("translate.py", "--model", *model, input="the third of March seventeen eleven\n").stdout
             for model in ([tmp_path / "short"], [checkpoint, "--max_length", 1], [checkpoint])]
    assert texts[0] == texts[1] != texts[2]


def test_a_damaged_best_checkpoint_is_named_in_one_line_and_the_latest_translates(translation_run, tmp_path):
    shutil.copytree(translation_run, tmp_path / "run")
    best, = (tmp_path / "run").glob("best-*")
    latest, = (tmp_path / "run").glob("latest-*")
    (best / "subwords.model").unlink()
    done = programs.run("translate.py", "--model", tmp_path / "run", input="the third of March\n")
    expected = programs.run("translate.py", "--model", latest, input="the third of March\n")
    assert (done.returncode, done.stdout) == (0, expected.stdout) and expected.stderr.count("cannot read") == 0
    line, = (line for line in done.stderr.splitlines() if "cannot read" in line)
    assert line == f"cannot read the checkpoint {best}: subwords.model is missing; using {latest}"


def test_a_model_trained_on_two_contexts_translates_on_one_two_and_three(translation_run):
    text = "twenty-one\n\nthe third\n"
    outputs = []
    for contexts in ("cpu(0)", "cpu(0-1)", "cpu(0-2)"):
        done = programs.run("translate.py", "--model", translation_run, "--max_length", 20, "--contexts", contexts,
                            input=text)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert len(set(outputs)) == 1 and len(outputs[0].split("\n")) == 4 and outputs[0].split("\n")[1] == ""


def test_nbest_gives_scored_lines_best_first(translation_run, tmp_path):
    (tmp_path / "in").write_text("twenty-one\nthe third\n")
    done = programs.run("translate.py", "--model", translation_run, "--nbest", 3, "--input", tmp_path / "in",
                        "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in (tmp_path / "out").read_text(encoding="utf-8").splitlines()]
    assert [row[0] for row in rows] == ["0"] * 3 + ["1"] * 3
    scores = [float(row[1]) for row in rows]
    assert scores[:3] == sorted(scores[:3], reverse=True) and scores[3:] == sorted(scores[3:], reverse=True)


@pytest.mark.parametrize("wrong, message", [
    (["--contexts", "gpu(0-"], "cannot read 'gpu(0-'"),
    (["--plan", "3,5"], "places 8 layers, but the chain has 9"),
    (["--train_src", "nowhere.txt"], "nowhere.txt: cannot be read"),
    (["--batch_size", "0"], "--batch_size must be at least 1, got 0"),
    (["--lp_alpha", "-1"], "--lp_alpha must be at least 0, got -1.0"),
    (["--dataset", "numbers"], "would not be read: --dataset is numbers")])
def test_a_mistake_gets_one_line(translation_flags, tmp_path, wrong, message):
    done = train(*translation_flags, "--output_dir", tmp_path / "run", *wrong)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr, done.stderr


def test_an_automatic_plan_is_measured_chosen_and_remembered(translation_flags, tmp_path):
    done = train(*translation_flags, "--output_dir", tmp_path / "run", "--epochs", "1", "--plan", "auto")
    assert done.returncode == 0, done.stderr
    chosen = json.loads((tmp_path / "run" / "options.json").read_text())
    assert re.fullmatch(r"\d+,\d+", chosen["plan"]) and sum(map(int, chosen["plan"].split(","))) == 9
    assert chosen["num_microbatches"] in (1, 2, 4, 8) and chosen["schedule"] in (
        "1f1b", "fill_drain", "interleaved")
    layers = json.loads((tmp_path / "run" / "profile.json").read_text())["layers"]["cpu"]
    assert [piece["num_microbatches"] for piece in layers] == [1, 2, 4, 8]
