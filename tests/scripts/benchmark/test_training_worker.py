"""The ways to train do the same."""
from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from benchmark.training_worker import WORKS
from mxnet.test_utils import assert_almost_equal

from mxmp.data import prepare
from mxmp.tasks.translation.options import Options
from mxmp.tasks.translation.task import Translation, load_corpus

OPTIONS = Options(embed_size=8, hidden_size=8, batch_size=7, dropout=0.0)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(load_corpus(OPTIONS), 300, True, 100, tmp_path_factory.mktemp("cache"))


def trained(prepared, folder, way, contexts, num_microbatches):
    options = replace(OPTIONS, contexts=",".join(map(str, contexts)), num_microbatches=num_microbatches)
    task = Translation(options, prepared, contexts, folder)
    step = WORKS[way](options, task)
    for _, batch in zip(range(3), task.batches(0, 0)):
        step(batch)
    return [parameter.data(parameter.list_ctx()[0]).asnumpy() for parameter in task.pipe.parameter_names]


def test_ways_end_with_the_same_parameters(prepared, tmp_path):
    whole = trained(prepared, tmp_path, "plain", [mx.cpu(0)], 1)
    assert all(np.isfinite(array).all() for array in whole)
    for way, contexts in (("plain", [mx.cpu(0)]), ("pipeline", [mx.cpu(0)]), ("pipeline", [mx.cpu(0), mx.cpu(1)])):
        for array, expected in zip(trained(prepared, tmp_path, way, contexts, 3), whole):
            assert_almost_equal(array, expected, rtol=1e-4, atol=1e-5)
