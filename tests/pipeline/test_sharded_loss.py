"""A last stage whose softmax spans contexts, against the undivided model in plain Gluon."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import CONTEXTS, assert_same
from mxnet import autograd

from mxmp import Pipeline, Plan, Trainer
from mxmp.nn import Chain, LabelSmoothedLoss, LSTMLayer, Projection, SequenceEmbedding, ShardedSoftmaxLoss, TimeFirst

VOCAB, SIZE, ROWS, LENGTH = 11, 4, 6, 5
COUNTS = (2, 1, 1)


def chain_of(layers):
    chain = Chain()
    chain.add_named("embedding", SequenceEmbedding(VOCAB, SIZE))
    for i in range(2):
        chain.add_named(f"lstm_{i}", LSTMLayer(SIZE, input_size=SIZE))
    chain.add_named("turn", TimeFirst())
    for name, layer in layers.items():
        chain.add_named(name, layer)
    return chain


@pytest.fixture
def values(tmp_path):
    """A file of the undivided model's parameters under their plain names, larger than they are drawn."""
    chain = chain_of({"projection": Projection(VOCAB, SIZE)})
    chain.initialize(mx.init.Uniform(1))
    for parameter in chain.collect_params().values():
        parameter.set_data(2 * mx.nd.random.uniform(-1, 1, parameter.shape))
    path = str(tmp_path / "whole.params")
    chain.save_parameters(path)
    return path


def renamed(path, target, **names):
    """The same file with other first names."""
    pairs = [(*name.split(".", 1), array) for name, array in mx.nd.load(path).items()]
    arrays = {f"{names.get(first, first)}.{rest}": array for first, rest, array in pairs}
    mx.nd.save(str(target), arrays)
    return str(target)


def sharded(values, tmp_path, count, microbatches=2, chunks=1, schedule="1f1b", smoothing=0.1, counts=COUNTS):
    """A pipeline over three contexts, the softmax's rows on the last one and those after it."""
    first = len(counts) - 1
    loss = ShardedSoftmaxLoss(VOCAB, [mx.cpu(first + i) for i in range(count)], SIZE, smoothing, layout="NTC")
    pipe = Pipeline(chain_of({}), Plan(counts, CONTEXTS[:len(counts)]), loss, microbatches, chunks, schedule)
    pipe.initialize()
    pipe.load_parameters(renamed(values, tmp_path / "loss.params", projection="loss"))
    return pipe


def batch():
    rng = np.random.RandomState(0)
    return [mx.nd.array(rng.randint(0, VOCAB, (ROWS, LENGTH)), dtype="int32") for _ in range(2)] + [
        mx.nd.array(rng.randint(1, LENGTH + 1, ROWS), dtype="int32")]


def plain(values, smoothing=0.1):
    """Loss and gradients, by the names that the pipeline's file has."""
    chain, loss = chain_of({"projection": Projection(VOCAB, SIZE)}), LabelSmoothedLoss(smoothing, layout="NTC")
    chain.load_parameters(values)
    data, label, lengths = batch()
    with autograd.record():
        total = loss(chain(data), label, lengths).sum()
    total.backward()
    return float(total.asscalar()), {name.replace("projection", "loss"): p.grad().asnumpy()
                                     for name, p in chain._collect_params_with_prefix().items()}


def gradients(pipe):
    """By name; those of the parts of one parameter in one piece."""
    found = {}
    for parameter, name in pipe.parameter_names.items():
        found.setdefault(name, []).append(parameter.grad(parameter.list_ctx()[0]).asnumpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("schedule, microbatches, chunks", [
    ("fill_drain", 1, 1), ("1f1b", 3, 1), ("wavefront", 1, 3), ("wavefront", 2, 2)])
def test_every_schedule_gives_the_undivided_models_gradients(values, tmp_path, count, schedule, microbatches, chunks):
    total, expected = plain(values)
    with sharded(values, tmp_path, count, microbatches, chunks, schedule) as pipe:
        for _ in range(2):  # the second step begins with cleared gradients
            data, label, lengths = batch()
            loss = pipe.forward_backward(data, (label, lengths))
            assert loss.context == CONTEXTS[2]
            assert float(loss.asscalar()) == pytest.approx(total, rel=1e-5)
            # oneDNN's log_softmax is off by 1.4e-6 for a single logit; each part adds its own
            assert_same(gradients(pipe), expected, rtol=1e-4, atol=5e-6)


def test_every_part_lives_on_its_own_context_only(values, tmp_path):
    with sharded(values, tmp_path, 2) as pipe:
        placed = {pipe.parameter_names[p]: [] for p in pipe.parameter_contexts}
        for parameter, contexts in pipe.parameter_contexts.items():
            assert parameter.list_ctx() == contexts
            placed[pipe.parameter_names[parameter]].append(contexts)
        assert placed["loss.dense.weight"] == placed["loss.dense.bias"] == [[mx.cpu(2)], [mx.cpu(3)]]
        assert placed["lstm_1.parameters"] == [[mx.cpu(1)]]


def test_steps_with_clipping_are_those_of_the_undivided_model(values, tmp_path):
    options = ("adam", {"learning_rate": 0.01, "epsilon": 0.01})
    whole = Pipeline(chain_of({"projection": Projection(VOCAB, SIZE)}), Plan((5,), CONTEXTS[:1]),
                     LabelSmoothedLoss(0.1, layout="NTC"))
    whole.initialize()
    whole.load_parameters(values)
    with whole, sharded(values, tmp_path, 2) as pipe:
        trainers = [Trainer(which, *options, clip_norm=0.1) for which in (whole, pipe)]
        for _ in range(3):
            data, label, lengths = batch()
            norms = []
            for which, trainer in zip((whole, pipe), trainers):
                which.forward_backward(data, (label, lengths))
                norms.append(float(trainer.step(ROWS).asscalar()))
            assert norms[0] == pytest.approx(norms[1], rel=1e-4) and norms[0] > 0.1
        for which, name in ((whole, "whole"), (pipe, "parts")):
            which.save_parameters(str(tmp_path / name))
        expected = {name: array.asnumpy() for name, array in
                    mx.nd.load(renamed(str(tmp_path / "whole"), tmp_path / "new", projection="loss")).items()}
        actual = {name: array.asnumpy() for name, array in mx.nd.load(str(tmp_path / "parts")).items()}
        assert_same(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_goes_on_with_another_number_of_contexts(values, tmp_path, after):
    data, label, lengths = batch()
    files = [str(tmp_path / name) for name in ("model", "states")]
    ends = []
    for second in (2, after):  # undisturbed, and saved and read in the middle
        with sharded(values, tmp_path, 2) as pipe:
            trainer = Trainer(pipe, "adam", {"learning_rate": 0.01, "epsilon": 0.01})
            pipe.forward_backward(data, (label, lengths))
            trainer.step(ROWS)
            pipe.save_parameters(files[0])
            trainer.save_states(files[1])
        with sharded(values, tmp_path, second) as pipe:
            trainer = Trainer(pipe, "adam", {"learning_rate": 0.01, "epsilon": 0.01})
            pipe.load_parameters(files[0])
            trainer.load_states(files[1])
            pipe.forward_backward(data, (label, lengths))
            trainer.step(ROWS)
            pipe.save_parameters(files[0])
            trainer.save_states(files[1])
        ends.append([{name: array.asnumpy() for name, array in mx.nd.load(path).items()} for path in files])
    assert ends[0][1]["loss.dense.weight/0"].shape == (VOCAB, SIZE)
    for undisturbed, other in zip(*ends):
        assert_same(other, undisturbed, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["lamb", "lars", "lbsgd", "nadam"])
def test_optimizers_that_look_at_whole_parameters_are_refused(values, tmp_path, optimizer):
    with sharded(values, tmp_path, 2) as pipe:
        with pytest.raises(ValueError, match="looks at whole parameters, but the rows of loss.dense.weight are spread"):
            Trainer(pipe, optimizer)
    with sharded(values, tmp_path, 1) as pipe:
        Trainer(pipe, optimizer)


def test_an_error_in_a_part_names_the_loss(values, tmp_path):
    with sharded(values, tmp_path, 2) as pipe:
        data, label, _ = batch()
        with pytest.raises(Exception, match="stage 2 on cpu.2., forward pass of micro-batch 0, the loss"):
            pipe.forward_backward(data, (label, mx.nd.ones((ROWS, 7)), label))
