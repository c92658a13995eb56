"""scripts/plan.py as a user runs it: without a GPU, without a model."""
import re
from dataclasses import replace

import pytest
from helpers import programs

from mxmp.command import parse_flags
from mxmp.contexts import parse_contexts
from mxmp.tasks.planning import choose_span
from mxmp.tasks.planning import plan as plan_of
from mxmp.tasks.request import Request

TINY = ["--encoder_layers", "2", "--decoder_layers", "2", "--vocab_size", "50", "--embed_size", "8",
        "--hidden_size", "8", "--batch_size", "8", "--seq_len", "5", "--num_microbatches", "1,2"]


def plan(*args, cwd):
    return programs.run("plan.py", *args, cwd=cwd)


def test_plans_for_gpus_that_are_not_there(tmp_path):
    done = plan("--encoder_layers", "8", "--decoder_layers", "8", "--contexts", "gpu(0-7)", "--memory_limit", "12GB",
                "--schedule", "1f1b", "--timeline", "step.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    table = done.stdout.split("\n\n")[0].splitlines()[1:]
    assert [line.split()[0] for line in table] == [f"gpu({i})" for i in range(8)]
    layers = ", ".join(re.split(r"B  ", line, maxsplit=1)[1] for line in table).split(", ")
    assert layers == ["source_embedding", *[f"encoder_{i}" for i in range(8)], "target_embedding", "decoder_0",
                      "attention", *[f"decoder_{i}" for i in range(1, 8)], "output", "projection"]
    assert re.search(r"predicted: +[\d.,]+ ms a step, +[\d,]+ tokens/s, ", done.stdout)
    assert len(done.stdout.split("alternatives:\n")[1].splitlines()) >= 4
    for picture in ("plan.png", "step.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_contexts_with_several_stages_have_a_line_each(tmp_path):
    done = plan(*TINY, "--contexts", "gpu(0-1)", "--schedule", "interleaved", "--stages_per_context", "3",
                "--timeline", "step.svg", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = (line.split("B  ")[-1].split(" | ") for line in done.stdout.splitlines()[1:3])
    in_order = [name for parts in zip(first, second) for part in parts for name in part.split(", ")]
    assert (len(first), len(second)) == (3, 3)
    assert in_order == ["source_embedding", "encoder_0", "encoder_1", "target_embedding", "decoder_0", "attention",
                        "decoder_1", "output", "projection"]
    assert "micro-batches on 2 contexts, plan " in done.stdout.split("alternatives")[0]
    assert "<!-- 4F0 -->" in (tmp_path / "step.svg").read_text()


def test_measured_times_are_kept_and_used_again(tmp_path):
    first = plan(*TINY, "--contexts", "cpu(0-1)", "--measure", "times.json", cwd=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    again = plan("--contexts", "cpu(0-1)", "--profile", "times.json", "--batch_size", "8", "--seq_len", "5",
                 cwd=tmp_path)
    assert again.stdout == first.stdout


def test_a_language_model_may_be_cut_in_time(tmp_path):
    done = plan("--model", "language_model", "--contexts", "gpu(0-1)", "--num_chunks", "1,8", "--schedule", "wavefront",
                "--num_microbatches", "1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "wavefront with 1 micro-batches x 8 chunks" in done.stdout.split("alternatives")[0]


def test_a_softmax_may_span_contexts(tmp_path):
    sizes = ["--model", "language_model", "--vocab_size", "100000", "--num_microbatches", "8", "--schedule", "1f1b"]
    seconds = {}
    for spanned in ("1", "3"):
        done = plan(*sizes, "--contexts", "gpu(0-5)", "--softmax_contexts", spanned, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        seconds[spanned] = float(re.search(r"predicted: +([\d.,]+) ms", done.stdout)[1].replace(",", ""))
        assert "8 micro-batches on 6 contexts" in done.stdout.split("alternatives")[0]
    assert "the softmax is split over gpu(3), gpu(4), gpu(5)" in done.stdout
    assert seconds["3"] < 0.5 * seconds["1"]  # the softmax is by far the slowest stage


@pytest.mark.parametrize("sizes, spanned", [
    (["--vocab_size", "10000", "--contexts", "gpu(0-1)"], 1), (["--contexts", "gpu(0-3)"], 2),
    (["--vocab_size", "100000", "--contexts", "gpu(0-5)"], 3)])
def test_a_softmax_spans_as_many_contexts_as_are_the_fastest(tmp_path, sizes, spanned):
    request = parse_flags(Request, None, ["--model", "language_model", *sizes, "--picture", str(tmp_path / "plan.png")])
    contexts = parse_contexts(request.contexts, present=False)
    assert choose_span(request, contexts) == spanned
    seconds = [float(re.search(r"predicted: +([\d.,]+) ms", plan_of(replace(request, softmax_contexts=number)))[1])
               for number in (0, *range(1, len(contexts) + 1))]
    assert seconds[0] == seconds[spanned] == min(seconds)


def test_a_softmax_spans_as_many_contexts_as_it_needs_to_fit(tmp_path):
    request = Request(model="language_model", vocab_size=100000, contexts="gpu(0-5)", memory_limit="900MB",
                      picture=str(tmp_path / "plan.png"))
    with pytest.raises(ValueError, match="nothing fits"):
        plan_of(replace(request, softmax_contexts=1))
    assert "the softmax is split over" in plan_of(request)


def test_a_softmax_that_shares_the_embedding_or_has_measured_times_is_in_one_piece():
    for request in (Request(), Request(model="language_model", profile="times.json")):
        assert choose_span(request, parse_contexts("gpu(0-3)", present=False)) == 1


@pytest.mark.parametrize("args, line", [
    (["--softmax_contexts", "2"], "--softmax_contexts splits the projection of --model language_model"),
    (["--softmax_contexts", "9", "--model", "language_model"], "must be from 1 to the 4 of --contexts, got 9"),
    (["--memory_limit", "1MB"], "nothing fits: of all plans"),
    (["--memory_limit", "much"], "cannot read the size 'much'"),
    (["--link", "fast"], "cannot read the size 'fast'"),
    (["--contexts", "gpu(0-30)"], "13 layers cannot fill 31 stages; use at most 13 contexts"),
    (["--device", "abacus"], "--device abacus is not known; choose one of cpu, k40m"),
    (["--num_chunks", "2"], "--num_chunks: the translation model's attention and bidirectional layer need"),
    (["--softmax_contexts", "-1"], "--softmax_contexts must be at least 0, got -1"),
    (["--batch_size", "0"], "--batch_size must be at least 1, got 0"),
    (["--profile", "none.json"], "none.json"),
    (["--profile", "a", "--device", "v100"], "--profile brings its own times; leave out --measure and --device"),
])
def test_a_mistake_is_one_line(tmp_path, args, line):
    done = plan(*args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("plan.py: error: ") and done.stderr.count("\n") == 1
    assert line in done.stderr
