"""MXNet's worker: sets threads and allocator, and only then loads MXNet."""
from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict

from mxmp import runtime

from .serving import measure, memory, serve, trim

_STEPS = 3  # steps after which a step's memory is as large as it gets


def build(job: Dict[str, Any]) -> Dict[str, Callable[[], Any]]:
    """What the worker answers to each question."""
    runtime.configure(job["threads"])
    import mxnet as mx
    import numpy

    from .steps import WORKS, Work, contexts
    if job["schedule"]:
        from .pipelined import WORKS

    def setting() -> Dict[str, Any]:
        return {"contexts": [str(context) for context in contexts(job)], "mxnet": mx.__version__,
                "numpy": numpy.__version__, **runtime.report()}

    def squares(work: Work) -> float:
        return sum(float(array.norm().asscalar()) ** 2 for p in work.parameters for array in p.list_grad())

    def step_memory(work: Work) -> Dict[str, Any]:
        mx.nd.waitall()
        trim()
        before = memory("VmRSS")
        for _ in range(_STEPS):
            work.step()
            mx.nd.waitall()
        return {"before": before, "peak": memory("VmHWM")}

    if job["work"] == "setting":
        return {"setting": setting}
    work = WORKS[job["work"]](job)
    mx.nd.waitall()
    return {"measure": partial(measure, lambda: work.step().asscalar, mx.nd.waitall, partial(squares, work),
                               job["warmup_steps"]),
            "memory": partial(step_memory, work)}


if __name__ == "__main__":
    serve(build)
