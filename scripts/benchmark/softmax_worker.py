"""What one context holds of a softmax: its part alone, in a process of its own."""
from __future__ import annotations

from typing import Any, Callable, Dict

from mxmp import runtime

from .serving import memory, serve, trim

_STEPS = 3  # after which a step's memory is as large as it gets


def build(job: Dict[str, Any]) -> Dict[str, Callable[[], Any]]:
    """What the worker answers to each question."""
    runtime.configure(job["threads"])
    import mxnet as mx

    from mxmp.nn.softmax_shard import SoftmaxShard

    from .softmax import Whole, batch, contexts, step

    def part() -> Any:
        size = job["vocab_size"]
        if not job["parts"]:
            return Whole(job)
        tokens = range(size - -(-size // job["parts"]), size)  # of the last context, which has the most
        return SoftmaxShard(tokens, size, contexts(job)[0], job["hidden_size"], False, None, {}, "float32")

    def bytes_held() -> Dict[str, Any]:
        hidden, label = batch(job)
        mx.nd.waitall()
        trim()
        before = memory("VmRSS")
        loss = part()
        loss.initialize(ctx=contexts(job)[0])
        loss.hybridize()
        for _ in range(_STEPS):
            step(loss, hidden, label)
            mx.nd.waitall()
        return {"bytes": memory("VmHWM") - before}

    return {"memory": bytes_held}


if __name__ == "__main__":
    serve(build)
