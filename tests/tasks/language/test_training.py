"""Whole training runs of the script on a tiny text: the numbers of one context, resuming, errors in one line."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.data import load_numbers
from mxmp.tasks.language.baselines import KneserNey
from mxmp.tasks.language.model import ModelOptions, begin_with_frequencies, language_chain
from mxmp.tasks.language.stream import TrainingStream
from mxmp.tasks.language.vocabulary import load_vocabulary
from mxmp.tasks.learning_rate import cosine_rate

ROOT = Path(__file__).parents[3]
TINY = ["--min_count", "2", "--embed_size", "16", "--hidden_size", "12", "--num_layers", "3", "--batch_size", "4",
        "--bptt", "10", "--num_chunks", "3", "--epochs", "2", "--log_interval", "1", "--save_interval", "3",
        "--warmup_steps", "4", "--sample_length", "6"]


def command(*arguments, script="train_language_model.py"):
    return [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]


def run(*arguments, **options):
    return subprocess.run(command(*arguments, **options), cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """The flags of a run on 150 number phrases."""
    folder, arguments = tmp_path_factory.mktemp("text"), list(TINY)
    corpus = load_numbers(num_train=150, num_valid=8, num_test=9)
    for split in ("train", "valid", "test"):
        path = folder / split
        path.write_text("\n".join(getattr(corpus, split).src) + "\n", encoding="utf-8")
        arguments += [f"--{split}_text", str(path)]
    return arguments


@pytest.fixture(scope="module")
def finished(flags, tmp_path_factory):
    """The folder of a run on two contexts that nothing disturbed."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    done = run(*flags, "--output_dir", folder, "--dropout", "0", "--timeline_step", "2")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def dropped(flags, tmp_path_factory):
    """As `finished`, with dropout: random numbers too must be the same when a run is resumed."""
    folder = tmp_path_factory.mktemp("run") / "dropped"
    done = run(*flags, "--output_dir", folder, "--dropout", "0.2")
    assert done.returncode == 0, done.stderr
    return folder


def arrays(folder, kind="latest", name="model.params"):
    (path,) = folder.glob(f"{kind}-*/{name}")
    return {name: array.asnumpy() for name, array in mx.nd.load(str(path)).items()}


def progress(folder):
    (path,) = folder.glob("latest-*/checkpoint.json")
    return json.loads(path.read_text())["progress"]


def encoded(flags, folder, split):
    (checkpoint,) = folder.glob("latest-*")
    vocabulary = load_vocabulary(checkpoint)
    path = Path(flags[flags.index(f"--{split}_text") + 1])
    return vocabulary, vocabulary.encode(path.read_text(encoding="utf-8").splitlines())


def plain_run(flags, folder):
    """Losses, final parameters and test perplexity of the same run in plain Gluon on one context."""
    vocabulary, sentences = encoded(flags, folder, "train")
    chain = language_chain(ModelOptions(len(vocabulary), 16, 12, 3))
    with Pipeline(chain, Plan((6,), (mx.cpu(0),))) as pipe:  # for the first values alone
        mx.random.seed(1)
        pipe.initialize()
    begin_with_frequencies([chain.layers["projection"].dense.bias], sentences, vocabulary.end)
    for parameter in chain.collect_params().values():
        parameter.grad_req = "write"
    cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(chain.collect_params(), "adam", {"learning_rate": 1.0, "beta2": 0.98})
    stream, losses, step = TrainingStream(sentences, vocabulary.end, 4, 10, shuffle=False), [], 0
    for epoch in range(2):
        states = zero_states(chain, 4)
        for segment in stream.epoch(epoch):
            with autograd.record():
                logits, states = forward(chain, segment.tokens, states)
                loss = cross_entropy(logits, segment.labels).mean()
            loss.backward()
            states = [[array.detach() for array in state] for state in states]
            gluon.utils.clip_global_norm([p.grad() for p in chain.collect_params().values()], 1.0)
            trainer.set_learning_rate(cosine_rate(step, 2 * len(stream), 5e-3, 4))
            trainer.step(1)
            losses.append(float(loss.asscalar()))
            step += 1
    return losses, {n: p.data().asnumpy() for n, p in chain._collect_params_with_prefix().items()}


def forward(chain, tokens, states):
    data, new = tokens, []
    for name, layer in chain.layers.items():
        if name.startswith("lstm"):
            data, state = layer(data, states[len(new)])
            new.append(state)
        else:
            data = layer(data)
    return data, new


def zero_states(chain, rows):
    return [layer.begin_state(rows) for name, layer in chain.layers.items() if name.startswith("lstm")]


def test_a_run_on_two_contexts_in_chunks_is_the_run_of_plain_gluon(flags, finished):
    losses, values = plain_run(flags, finished)
    found = progress(finished)["train_loss"]
    assert [step for step, _ in found] == list(range(1, len(losses) + 1)) and len(losses) > 15
    np.testing.assert_allclose([loss for _, loss in found], losses, rtol=1e-4)
    for name, value in arrays(finished).items():
        # Adam divides gradients near 0 by their own size, so that rounding there moves a value by up to a rate's share
        np.testing.assert_allclose(value, values[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_the_test_perplexity_is_that_of_sentences_run_one_after_the_other(flags, finished):
    vocabulary, sentences = encoded(flags, finished, "test")
    results = json.loads((finished / "results.json").read_text())
    chain = language_chain(ModelOptions(len(vocabulary), 16, 12, 3))
    chain.initialize()
    for name, parameter in chain._collect_params_with_prefix().items():
        parameter.set_data(mx.nd.array(arrays(finished, "best")[name]))
    # four rows begin anew, so that a row's sentences follow each other here too
    sizes = np.array([len(sentence) + 1 for sentence in sentences])
    nats, tokens, row, states = 0.0, 0, -1, None
    for i, sentence in enumerate(sentences):
        if (sizes[:i].sum() * 4) // sizes.sum() != row:
            row, states = (sizes[:i].sum() * 4) // sizes.sum(), zero_states(chain, 1)
        logits, states = forward(chain, mx.nd.array([[vocabulary.end, *sentence]], dtype="int32"), states)
        nats -= sum(mx.nd.log_softmax(logits[0])[t, token].asscalar() for t, token in enumerate(sentence))
        nats -= mx.nd.log_softmax(logits[0])[len(sentence), vocabulary.end].asscalar()
        tokens += len(sentence) + 1
    model = results["test"]["model"]
    assert model["tokens"] == model["words"] == tokens
    assert model["nats"] == pytest.approx(nats, rel=1e-4)
    assert model["per_token"] == model["per_word"] == pytest.approx(np.exp(nats / tokens), rel=1e-4)


def test_the_baselines_are_measured_on_the_same_tokens(flags, finished):
    vocabulary, train = encoded(flags, finished, "train")
    _, test = encoded(flags, finished, "test")
    train, test = ([[*sentence, vocabulary.end] for sentence in part] for part in (train, test))
    results = json.loads((finished / "results.json").read_text())["test"]
    for name, order in (("unigram", 1), ("5-gram", 5)):
        log_probs = KneserNey(train, len(vocabulary), order).log_probs(test)
        assert results[name]["tokens"] == len(log_probs) == results["model"]["tokens"]
        assert results[name]["per_token"] == pytest.approx(np.exp(-log_probs.mean()))
    assert results["5-gram"]["per_token"] < results["unigram"]["per_token"]


def test_a_run_leaves_results_pictures_a_log_and_checkpoints(finished):
    results = json.loads((finished / "results.json").read_text())
    assert results["plan"]["contexts"] == ["cpu(0)", "cpu(1)"] and results["steps"] == len(
        progress(finished)["train_loss"])
    assert results["tokens_per_second"] > 0 and results["versions"]["mxnet"] == mx.__version__
    for picture in ("loss.png", "timeline.png"):
        assert (finished / picture).read_bytes().startswith(b"\x89PNG")
    log = (finished / "train.log").read_text()
    assert "of the work" in log and "wavefront, 3 chunks" in log and log.count("sample: ") == 2
    assert re.search(r"epoch 2 valid: loss \d+\.\d+ ppl \d+\.\d+ \(per word \d+\.\d+\)", log)
    assert re.search(r"test, 5-gram: +perplexity \d+\.\d+ per token, \d+\.\d+ per word", log)
    assert {p.name.split("-")[0] for p in finished.iterdir() if p.is_dir()} == {"best", "latest"}


def test_a_run_killed_at_a_random_step_resumes_and_ends_like_one_that_was_not(flags, dropped, tmp_path):
    total = progress(dropped)["step"]
    step, folder = random.SystemRandom().randint(1, total - 1), tmp_path / "killed"
    with subprocess.Popen(command(*flags, "--dropout", "0.2", "--output_dir", folder), cwd=ROOT,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 240
        while not ((folder / "train.log").is_file() and f"step {step}/" in (folder / "train.log").read_text()):
            assert process.poll() is None and time.monotonic() < deadline, f"never reached step {step}"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (folder / "results.json").exists(), f"finished before it was killed at step {step}"
    done = run("--output_dir", folder, "--resume")  # the run knows its other options
    assert done.returncode == 0, done.stderr
    for kind, name in (("latest", "model.params"), ("latest", "optimizer.params"), ("best", "model.params"),
                       ("latest", "states.params")):
        ours, theirs = arrays(folder, kind, name), arrays(dropped, kind, name)
        assert ours.keys() == theirs.keys()
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{key} in {kind}, killed at step {step}")
    assert progress(folder)["valid"] == progress(dropped)["valid"]


def test_text_is_drawn_on_one_two_and_three_contexts(finished):
    outputs = set()
    for contexts in ("cpu(0)", "cpu(0-1)", "cpu(0-2)"):
        done = run("--model", finished, "--contexts", contexts, "--prompt", "the third", "--length", 9, "--num_samples",
                   2, "--top_k", 5, "--temperature", 0.7, "--seed", 3, script="generate_text.py")
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    (text,) = outputs
    assert text.startswith("the third") and "\n\nthe third" in text


def test_a_softmax_over_two_contexts_changes_nothing_but_where_it_is(flags, finished, tmp_path):
    split = ["--contexts", "cpu(0-2)", "--softmax_contexts", 2]
    done = run(*flags, "--output_dir", tmp_path / "run", "--dropout", "0", *split)
    assert done.returncode == 0, done.stderr
    losses, expected = (np.array(progress(folder)["train_loss"]) for folder in (tmp_path / "run", finished))
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["plan"]["contexts"] == ["cpu(0)", "cpu(1)"]
    whole = json.loads((finished / "results.json").read_text())["test"]["model"]["nats"]
    assert results["test"]["model"]["nats"] == pytest.approx(whole, rel=1e-3)
    values, undivided = arrays(tmp_path / "run"), arrays(finished)
    assert values["loss.dense.weight"].shape == undivided["projection.dense.weight"].shape
    draw = ["--model", tmp_path / "run", "--length", 9, "--top_k", 3, "--seed", 3]
    texts = [run(*draw, *where, script="generate_text.py").stdout for where in ([], ["--contexts", "cpu(0-1)"], split)]
    assert len(texts[0]) > 9 and texts[0] == texts[1] == texts[2]
    done = run(*flags, "--output_dir", tmp_path / "run", "--resume", "--softmax_contexts", 1)
    assert done.returncode == 1 and "does not fit this model" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    done = run("--model", finished, *split, script="generate_text.py")
    assert "trained with its projection on one context; leave out --softmax_contexts" in done.stderr


@pytest.mark.parametrize("wrong, message", [
    (["--contexts", "gpu(0-"], "cannot read 'gpu(0-'"),
    (["--plan", "3,5"], "places 8 layers, but the chain has"),
    (["--train_text", "nowhere.txt"], "nowhere.txt: cannot be read"),
    (["--batch_size", "1000"], "are fewer than --batch_size 1000 x --bptt 10"),
    (["--softmax_contexts", "3"], "--softmax_contexts must be from 1 to the 2 of --contexts, got 3"),
    (["--tied", "--softmax_contexts", "2"], "--tied: a projection that is split"),
    (["--bptt", "0"], "--bptt must be at least 1, got 0"),
    (["--tied"], "they are one table; give one context, as --contexts \"cpu(0)\", or leave out --tied"),
    (["--text", "a"], "--text is split by itself"),
    (["--dataset", "tatoeba"], "--dataset tatoeba needs --data_dir"),
    (["--units", "subwords", "--vocab_size", "3"], "vocab_size=3 does not suit this text"),
    (["--learning_rate", "1e38"], "lower --learning_rate (now 1e+38) and --resume")])
def test_a_mistake_gets_one_line(flags, tmp_path, wrong, message):
    done = run(*flags, "--output_dir", tmp_path / "run", *wrong)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr, done.stderr


@pytest.mark.parametrize("wrong, message", [
    (["--temperature", "0"], "temperature must be positive, got 0.0"), (["--plan", "1,1"], "1,1"),
    (["--model", "nowhere"], "holds no checkpoint")])
def test_a_mistake_in_drawing_text_gets_one_line(finished, wrong, message):
    done = run("--model", finished, *wrong, script="generate_text.py")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr, done.stderr


def test_a_folder_in_use_and_other_text_are_refused_and_nothing_is_lost(flags, finished):
    before = sorted(path.name for path in finished.iterdir())
    for wrong, message in (([], "holds a training run"), (["--resume", "--hidden_size", "24"], "--hidden_size was 12"),
                           (["--resume", "--train_text", flags[flags.index("--valid_text") + 1]], "not the one that")):
        done = run(*flags, "--output_dir", finished, *wrong)
        assert done.returncode == 1 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in finished.iterdir()) == before


def test_tied_tables_train_and_draw_on_one_context(flags, tmp_path):
    done = run(*flags, "--output_dir", tmp_path / "run", "--epochs", "1", "--tied", "--contexts", "cpu(0)", "--units",
               "subwords", "--vocab_size", "60")
    assert done.returncode == 0, done.stderr
    values = arrays(tmp_path / "run")
    np.testing.assert_array_equal(values["embedding.table.weight"], values["projection.dense.weight"])
    assert run("--model", tmp_path / "run", "--length", 5, script="generate_text.py").returncode == 0
    done = run("--model", tmp_path / "run", "--contexts", "cpu(0-1)", script="generate_text.py")
    assert "they are one table" in done.stderr and len(done.stderr.strip().splitlines()) == 1
