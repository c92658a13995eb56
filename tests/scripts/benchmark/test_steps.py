"""MXNet's steps, where a worker's answer does not show what they do."""
from types import SimpleNamespace

import pytest
from benchmark.steps import HalfSquare, OneThread, even_plan, random_batch, stack

from mxmp.contexts import parse_contexts
from mxmp.pipeline import Pipeline

JOB = SimpleNamespace(num_layers=3, hidden_size=4, seq_len=3, batch_size=4, contexts="cpu(0-1)")


def test_one_thread_needs_none_of_the_stages_threads():
    def total(kind, close=False):
        pipe = kind(stack(JOB), even_plan(3, parse_contexts(JOB.contexts)), HalfSquare(4), 2, layout="TNC")
        if close:
            pipe.close()  # ends its threads
        return pipe.forward_backward(random_batch(JOB)).asscalar()

    assert total(OneThread, close=True) == total(Pipeline)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        total(Pipeline, close=True)
