"""The language task: its text, whole runs with the numbers of one context, errors in one line."""
import json
import re
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from helpers import programs
from helpers.runs import arrays, progress, rate
from mxnet import autograd, gluon

from mxmp import Pipeline, Plan
from mxmp.tasks.language.kneser_ney import KneserNey
from mxmp.tasks.language.model import ModelOptions, begin_with_frequencies, language_chain
from mxmp.tasks.language.options import Options
from mxmp.tasks.language.stream import TrainingStream
from mxmp.tasks.language.task import load_corpus
from mxmp.tasks.language.vocabulary import load_vocabulary


def train(*arguments):
    return programs.run("train_language_model.py", *arguments)


def draw(*arguments):
    return programs.run("generate_text.py", *arguments)


def test_the_default_is_generated():
    text = load_corpus(Options())
    assert text.name == "numbers" and len(text.train) > 1000 and {"thirty-two", "the tenth"} & {*text.train}


def test_one_file_is_split_and_three_are_not(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text("".join(f"{path.name} {i}\n" for i in range(400)))
    whole = load_corpus(Options(dataset="files", text=str(paths[0])))
    assert len(whole.train) + len(whole.valid) + len(whole.test) == 400 and whole.valid and whole.test
    names = dict(zip(("train_text", "valid_text", "test_text"), map(str, paths)))
    text = load_corpus(Options(dataset="files", **names))
    assert [lines[0] for lines in vars(text).values()] == ["f", "a 0", "b 0", "c 0"]
    with pytest.raises(ValueError, match="--dataset files needs --valid_text, --test_text, or --text alone"):
        load_corpus(Options(dataset="files", train_text=str(paths[0])))


def test_tatoeba_needs_its_folder():
    with pytest.raises(ValueError, match="--dataset tatoeba needs --data_dir"):
        load_corpus(Options(dataset="tatoeba"))


def encoded(language_flags, folder, split):
    (checkpoint,) = folder.glob("latest-*")
    vocabulary = load_vocabulary(checkpoint)
    path = Path(language_flags[language_flags.index(f"--{split}_text") + 1])
    return vocabulary, vocabulary.encode(path.read_text(encoding="utf-8").splitlines())


def plain_run(language_flags, folder):
    """Losses, final parameters and test perplexity of the same run in plain Gluon on one context."""
    vocabulary, sentences = encoded(language_flags, folder, "train")
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
            trainer.set_learning_rate(rate(step, 2 * len(stream), 5e-3, 4))
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


def test_a_run_on_two_contexts_in_chunks_is_the_run_of_plain_gluon(language_flags, language_run):
    losses, values = plain_run(language_flags, language_run)
    found = progress(language_run)["train_loss"]
    assert [step for step, _ in found] == list(range(1, len(losses) + 1)) and len(losses) > 15
    np.testing.assert_allclose([loss for _, loss in found], losses, rtol=1e-4)
    for name, value in arrays(language_run).items():
        # Adam divides gradients near 0 by their own size, so that rounding there moves a value by up to a rate's share
        np.testing.assert_allclose(value, values[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_the_test_perplexity_is_that_of_sentences_run_one_after_the_other(language_flags, language_run):
    vocabulary, sentences = encoded(language_flags, language_run, "test")
    results = json.loads((language_run / "results.json").read_text())
    chain = language_chain(ModelOptions(len(vocabulary), 16, 12, 3))
    chain.initialize()
    for name, parameter in chain._collect_params_with_prefix().items():
        parameter.set_data(mx.nd.array(arrays(language_run, "best")[name]))
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


def test_the_baselines_are_measured_on_the_same_tokens(language_flags, language_run):
    vocabulary, train = encoded(language_flags, language_run, "train")
    _, test = encoded(language_flags, language_run, "test")
    train, test = ([[*sentence, vocabulary.end] for sentence in part] for part in (train, test))
    results = json.loads((language_run / "results.json").read_text())["test"]
    for name, order in (("unigram", 1), ("5-gram", 5)):
        log_probs = KneserNey(train, len(vocabulary), order).log_probs(test)
        assert results[name]["tokens"] == len(log_probs) == results["model"]["tokens"]
        assert results[name]["per_token"] == pytest.approx(np.exp(-log_probs.mean()))
    assert results["5-gram"]["per_token"] < results["unigram"]["per_token"]


def test_a_run_leaves_results_pictures_a_log_and_checkpoints(language_run):
    results = json.loads((language_run / "results.json").read_text())
    assert results["plan"]["contexts"] == ["cpu(0)", "cpu(1)"] and results["steps"] == len(
        progress(language_run)["train_loss"])
    assert results["tokens_per_second"] > 0 and results["versions"]["mxnet"] == mx.__version__
    for picture in ("loss.png", "timeline.png"):
        assert (language_run / picture).read_bytes().startswith(b"\x89PNG")
    log = (language_run / "train.log").read_text()
    assert "of the work" in log and "wavefront, 3 chunks" in log and log.count("sample: ") == 2
    assert re.search(r"epoch 2 valid: loss \d+\.\d+ ppl \d+\.\d+ \(per word \d+\.\d+\)", log)
    assert re.search(r"test, 5-gram: +perplexity \d+\.\d+ per token, \d+\.\d+ per word", log)
    assert {p.name.split("-")[0] for p in language_run.iterdir() if p.is_dir()} == {"best", "latest"}


def test_text_is_drawn_on_one_two_and_three_contexts(language_run):
    outputs = set()
    for contexts in ("cpu(0)", "cpu(0-1)", "cpu(0-2)"):
        done = draw("--model", language_run, "--contexts", contexts, "--prompt", "the third", "--length", 9,
                    "--num_samples", 2, "--top_k", 5, "--temperature", 0.7, "--seed", 3)
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    (text,) = outputs
    assert text.startswith("the third") and "\n\nthe third" in text


def test_a_softmax_over_two_contexts_changes_nothing_but_where_it_is(language_flags, language_run, tmp_path):
    split = ["--contexts", "cpu(0-2)", "--softmax_contexts", 2]
    done = train(*language_flags, "--output_dir", tmp_path / "run", "--dropout", "0", *split)
    assert done.returncode == 0, done.stderr
    losses, expected = (np.array(progress(folder)["train_loss"]) for folder in (tmp_path / "run", language_run))
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["plan"]["contexts"] == ["cpu(0)", "cpu(1)"]
    whole = json.loads((language_run / "results.json").read_text())["test"]["model"]["nats"]
    assert results["test"]["model"]["nats"] == pytest.approx(whole, rel=1e-3)
    values, undivided = arrays(tmp_path / "run"), arrays(language_run)
    assert values["loss.dense.weight"].shape == undivided["projection.dense.weight"].shape
    text = ["--model", tmp_path / "run", "--length", 9, "--top_k", 3, "--seed", 3]
    texts = [draw(*text, *where).stdout for where in ([], ["--contexts", "cpu(0-1)"], split)]
    assert len(texts[0]) > 9 and texts[0] == texts[1] == texts[2]
    done = train(*language_flags, "--output_dir", tmp_path / "run", "--resume", "--softmax_contexts", 1)
    assert done.returncode == 1 and "does not fit this model" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    done = draw("--model", language_run, *split)
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
    (["--dataset", "tatoeba"], "would not be read: --dataset is tatoeba"),
    (["--units", "subwords", "--vocab_size", "3"], "vocab_size=3 does not suit this text"),
    (["--learning_rate", "1e38"], "lower --learning_rate (now 1e+38) and --resume")])
def test_a_mistake_gets_one_line(language_flags, tmp_path, wrong, message):
    done = train(*language_flags, "--output_dir", tmp_path / "run", *wrong)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr, done.stderr


@pytest.mark.parametrize("wrong, message", [
    (["--temperature", "0"], "temperature must be positive and finite, got 0.0"), (["--plan", "1,1"], "1,1"),
    (["--model", "nowhere"], "holds no checkpoint")])
def test_a_mistake_in_drawing_text_gets_one_line(language_run, wrong, message):
    done = draw("--model", language_run, *wrong)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr, done.stderr


def test_tied_tables_train_and_draw_on_one_context(language_flags, tmp_path):
    done = train(*language_flags, "--output_dir", tmp_path / "run", "--epochs", "1", "--tied", "--contexts", "cpu(0)",
                 "--units", "subwords", "--vocab_size", "60")
    assert done.returncode == 0, done.stderr
    values = arrays(tmp_path / "run")
    np.testing.assert_array_equal(values["embedding.table.weight"], values["projection.dense.weight"])
    assert draw("--model", tmp_path / "run", "--length", 5).returncode == 0
    done = draw("--model", tmp_path / "run", "--contexts", "cpu(0-1)")
    assert "they are one table" in done.stderr and len(done.stderr.strip().splitlines()) == 1
