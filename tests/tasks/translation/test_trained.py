"""A trained model's chain: on any contexts, with its subwords, and shared tables saved as they are."""
import mxnet as mx
import pytest
from helpers.stacks import CONTEXTS, assert_same, pipelined, random_values

from mxmp import Plan, Trainer
from mxmp.data import ParallelText, Subwords
from mxmp.tasks import checkpoint
from mxmp.tasks.translation.model import ModelOptions, translation_chain
from mxmp.tasks.translation.trained import load_trained


@pytest.mark.parametrize("counts", [(9,), (4, 5), (2, 5, 2)])
def test_a_chain_loads_onto_any_contexts(tmp_path, counts):
    subwords = Subwords.train(ParallelText(["a b"] * 4, ["b a"] * 4), 12)
    size = len(subwords.src_vocab)
    sizes = ModelOptions(size, size, True, 8, 6, 2, 2, 0.0)
    chain = translation_chain(sizes)
    values = random_values(chain)
    with pipelined(chain, values, None, (4, 5), 1) as pipe:
        found = checkpoint.save(tmp_path, "best", 1, pipe, Trainer(pipe, "adam"), {"model": vars(sizes)}, subwords)
    plan = Plan(counts, CONTEXTS[:len(counts)])
    chain, placed, loaded = load_trained(found, lambda chain: plan)
    actual = {n: p.data(p.list_ctx()[0]).asnumpy() for n, p in chain._collect_params_with_prefix().items()}
    assert_same(actual, values, rtol=0, atol=0)
    assert placed == plan and loaded.models == subwords.models
    assert {ctx for p in chain.collect_params().values() for ctx in p.list_ctx()} == set(plan.contexts)


def test_three_copies_of_a_shared_table_are_saved_without_rounding(tmp_path):
    chain = translation_chain(ModelOptions(900, 900, True, 8, 6, 2, 2, 0.0))
    values = random_values(chain)
    with pipelined(chain, values, None, (2, 3, 4), 1) as pipe:
        pipe.save_parameters(str(tmp_path / "params"))
    stored = {name: array.asnumpy() for name, array in mx.nd.load(str(tmp_path / "params")).items()}
    assert_same(stored, values, rtol=0, atol=0)
