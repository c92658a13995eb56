"""The translation chain: the same loss and gradients wherever its layers live, and the design's wiring."""
import mxnet as mx
import numpy as np
import pytest
from helpers.stacks import assert_same, gradients, pipelined, plain, random_values, set_values
from helpers.tiny import CONTEXTS, OPTIONS, batch

from mxmp import Trainer
from mxmp.nn import LabelSmoothedLoss
from mxmp.tasks.translation.model import ModelOptions, translation_chain

LAYERS = ["source_embedding", "encoder_0", "encoder_1", "encoder_2", "target_embedding", "decoder_0", "attention",
          "decoder_1", "decoder_2", "output", "projection"]


@pytest.mark.parametrize("microbatches", [1, 4])
@pytest.mark.parametrize("counts", [(11,), (4, 7), (5, 6), (8, 3), (3, 4, 4)])
def test_loss_and_every_gradient_are_those_of_one_context(counts, microbatches):
    data, label, _ = batch()
    values, loss = random_values(translation_chain(OPTIONS)), LabelSmoothedLoss(0.1)
    expected_loss, expected = plain(translation_chain(OPTIONS), values, loss, data, label)
    chain = translation_chain(OPTIONS)
    with pipelined(chain, values, loss, counts, microbatches) as pipe:
        actual = pipe.forward_backward(data, label)
        np.testing.assert_allclose(actual.asnumpy(), expected_loss, 1e-5)
        # a table's gradient sums some 40 rows of either sign: atol is a few float32 roundings of the sums
        assert_same(gradients(chain), expected, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("microbatches", [1, 4])
def test_training_on_two_contexts_is_training_on_one(microbatches):
    values, results = random_values(translation_chain(OPTIONS)), []
    for counts in ((11,), (4, 7)):
        chain = translation_chain(OPTIONS)
        with pipelined(chain, values, LabelSmoothedLoss(0.1), counts, microbatches if len(counts) > 1 else 1) as pipe:
            trainer, seen = Trainer(pipe, "adam", {"learning_rate": 1e-3, "epsilon": 1e-4}, clip_norm=0.3), {}
            for step in range(3):
                data, label, tokens = batch(seed=step)
                seen[f"loss {step}"] = pipe.forward_backward(data, label).asnumpy() / tokens
                seen.update({f"gradient {step} {name}": grad for name, grad in gradients(chain).items()})
                seen[f"norm {step}"] = trainer.step(tokens).asnumpy()
            results.append({**seen, **{n: p.data(p.list_ctx()[0]).asnumpy()
                                       for n, p in chain._collect_params_with_prefix().items()}})
    # rounding grows from step to step; epsilon keeps Adam from dividing rounding by rounding
    assert_same(results[1], results[0], rtol=1e-4, atol=2e-5)


def test_every_parameter_has_a_gradient():
    data, label, _ = batch()
    _, grads = plain(translation_chain(OPTIONS), random_values(translation_chain(OPTIONS)), LabelSmoothedLoss(0.1),
                     data, label)
    assert [name for name, grad in grads.items() if not np.abs(grad).max() > 0] == []


def test_the_layers_are_named_and_in_the_designs_order():
    assert list(translation_chain(OPTIONS).layers) == LAYERS


@pytest.mark.parametrize("encoder_layers, decoder_layers", [(1, 1), (1, 2), (2, 1), (4, 2)])
def test_depths_are_independent(encoder_layers, decoder_layers):
    data, _, _ = batch()
    chain = translation_chain(ModelOptions(23, 23, True, 8, 6, encoder_layers, decoder_layers, 0.1))
    chain.initialize()
    assert chain(*data).shape == (5, 8, 23)


def test_padding_changes_no_valid_output():
    (src, src_len, tgt), _, _ = batch()
    chain = translation_chain(OPTIONS)
    chain.initialize()
    expected = chain(src, src_len, tgt).asnumpy()
    noisy = mx.nd.array(np.where(np.arange(6) < src_len.asnumpy()[:, None], src.asnumpy(), 7), dtype="int32")
    np.testing.assert_allclose(chain(noisy, src_len, tgt).asnumpy(), expected, 1e-5, 1e-6)


def test_an_output_sees_no_later_target_token():
    (src, src_len, tgt), _, _ = batch()
    chain = translation_chain(OPTIONS)
    chain.initialize()
    changed = tgt.copy()
    changed[:, 3] = 9
    before, after = chain(src, src_len, tgt).asnumpy(), chain(src, src_len, changed).asnumpy()
    np.testing.assert_array_equal(before[:3], after[:3])
    assert np.abs(before[3:] - after[3:]).max() > 1e-4


def test_one_table_serves_a_shared_vocabulary_and_two_serve_separate_ones():
    shared, separate = (translation_chain(ModelOptions(23, size, size == 23, 8, 6)) for size in (23, 19))
    tables = [name for name in shared.collect_params() if "embedding" in name and name.endswith("weight")]
    assert tables == ["translation_source_embedding_embedding0_weight"]
    tables = [name for name in separate.collect_params() if "embedding" in name and name.endswith("weight")]
    assert len(tables) == 2


def test_a_shared_table_has_one_copy_per_context_that_uses_it():
    chain = translation_chain(OPTIONS)
    with pipelined(chain, random_values(chain), None, (2, 3, 6), 1):
        table = chain.layers["source_embedding"].block.table.weight
        assert table.list_ctx() == CONTEXTS[:3]


@pytest.mark.filterwarnings("ignore:Cannot decide type for the following arguments")
@pytest.mark.parametrize("counts", [(11,), (4, 7), (2, 3, 6)])
def test_exported_from_any_plan_it_runs_on_one_context_at_any_size(counts, tmp_path):
    chain, whole, path = translation_chain(OPTIONS), translation_chain(OPTIONS), str(tmp_path / "model")
    values = random_values(chain)
    with pipelined(chain, values, None, counts):
        chain.export(path, inputs=("src", "src_len", "tgt"))
    one = mx.gluon.SymbolBlock.imports(f"{path}-symbol.json", ["src", "src_len", "tgt"], f"{path}-0000.params")
    whole.initialize()
    set_values(whole, values)
    for sizes in ({}, {"rows": 3, "source": 9, "target": 7}):
        data, _, _ = batch(**sizes)
        np.testing.assert_allclose(one(*data).asnumpy(), whole(*data).asnumpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("wrong, message", [
    ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"), ({"dropout": 1.0}, "below 1, got 1.0"),
    ({"tgt_vocab_size": 9}, "one size, got 23 and 9"), ({"encoder_layers": 1, "hidden_size": 5}, "even hidden_size")])
def test_impossible_sizes_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        ModelOptions(**{"src_vocab_size": 23, "tgt_vocab_size": 23, **wrong})


def test_three_copies_of_a_shared_table_are_saved_without_rounding(tmp_path):
    chain = translation_chain(ModelOptions(900, 900, True, 8, 6, 2, 2, 0.0))
    values = random_values(chain)
    with pipelined(chain, values, None, (2, 3, 4), 1) as pipe:
        pipe.save_parameters(str(tmp_path / "params"))
    stored = {name: array.asnumpy() for name, array in mx.nd.load(str(tmp_path / "params")).items()}
    assert_same(stored, values, rtol=0, atol=0)
