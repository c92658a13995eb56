"""MXNet's worker: sets threads and allocator, and only then loads MXNet."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Dict

from mxmp import runtime

from .serving import serve


def build(job: Dict[str, Any]) -> Dict[str, Callable[[], Any]]:
    """What the worker answers to each question about its job."""
    runtime.configure(job["threads"])
    if job["work"] == "softmax":
        from .softmax import answers
    elif job["work"] == "training":
        from .training_worker import answers
    else:
        from .steps import answers
    return answers(SimpleNamespace(**job))


if __name__ == "__main__":
    serve(build)
