"""MXNet's steps, where a worker's answer does not show what they do."""
import threading
from types import SimpleNamespace

from benchmark.steps import HalfSquare, OneThread, even_plan, random_batch, stack

from mxmp.contexts import parse_contexts
from mxmp.pipeline import Pipeline
from mxmp.pipeline.step import Step

JOB = SimpleNamespace(num_layers=3, hidden_size=4, seq_len=3, batch_size=4, contexts="cpu(0-1)")


def test_one_thread_issues_the_units_of_all_stages(monkeypatch):
    threads, issue = set(), Step.issue
    monkeypatch.setattr(Step, "issue", lambda step, unit: (threads.add(threading.get_ident()), issue(step, unit))[1])

    def total(kind):
        threads.clear()
        with kind(stack(JOB), even_plan(3, parse_contexts(JOB.contexts)), HalfSquare(4), 2, layout="TNC") as pipe:
            return pipe.forward_backward(random_batch(JOB)).asscalar(), len(threads)

    (one, one_thread), (two, two_threads) = total(OneThread), total(Pipeline)
    assert (one, one_thread, two_threads) == (two, 1, 2)
