"""PyTorch's worker: the same stack in torch.nn, and its stages in torch.distributed.pipelining.

Run by its path, so that a Python with PyTorch alone is enough; its folder is then the first that imports search.
"""
from __future__ import annotations

import atexit
import os
import platform
from functools import partial
from typing import Any, Callable, Dict, Tuple

import torch
import torch.distributed as dist
from serving import measure_step, serve
from torch import nn


class Contiguous(torch.autograd.Function):
    """Contiguous activations forward, contiguous gradients backward: gloo sends no others."""

    @staticmethod
    def forward(ctx: Any, data: torch.Tensor) -> torch.Tensor:
        return data.contiguous()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad.contiguous()


class StackedLSTM(nn.Module):
    """Layers `first` to `last` of the stack, batch first; the end of the stack returns the loss."""

    def __init__(self, job: Dict[str, Any], first: int, last: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        size = job["hidden_size"]
        layers = [nn.LSTM(size, size, batch_first=True) for _ in range(job["num_layers"])]  # all: the same numbers
        self.layers = nn.ModuleList(layers[first:last])
        self.ends = last == job["num_layers"]

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        data = Contiguous.apply(data)
        for layer in self.layers:
            data = layer(data)[0]
        return 0.5 * (data * data).sum().reshape(1) if self.ends else Contiguous.apply(data)


def plain(job: Dict[str, Any]) -> Tuple[nn.Module, Callable[[], Any]]:
    """The whole stack in this process, and its step."""
    stack, batch = StackedLSTM(job, 0, job["num_layers"]), random_batch(job)
    microbatches = job["num_microbatches"] if job["microbatches"] else 1

    def step() -> Any:
        stack.zero_grad()
        total = torch.zeros(1)
        for data in batch.chunk(microbatches):
            loss = stack(data)
            loss.backward()
            total += loss.detach()
        return total.item
    return stack, step


def pipeline(job: Dict[str, Any]) -> Tuple[nn.Module, Callable[[], Any]]:
    """This process's stage of the stack, joined to the others, and its part in the step."""
    from torch.distributed import pipelining  # large, so not for the others

    rank, stages, microbatches = job["rank"], job["processes"], job["num_microbatches"]
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{job['folder']}/store", rank=rank, world_size=stages)
    atexit.register(dist.destroy_process_group)
    stack = StackedLSTM(job, *(job["num_layers"] * i // stages for i in (rank, rank + 1)))
    batch, target = random_batch(job), torch.zeros(job["batch_size"])  # a loss must have a target, used or not
    shape = (len(batch) // microbatches, *batch.shape[1:])
    stage = pipelining.PipelineStage(stack, rank, stages, torch.device("cpu"),
                                     input_args=torch.empty(shape, requires_grad=rank > 0),
                                     output_args=torch.empty((1,) if stack.ends else shape, requires_grad=True))
    kinds = {"gpipe": pipelining.ScheduleGPipe, "1f1b": pipelining.Schedule1F1B}
    schedule = kinds[job["schedule"]](stage, microbatches, loss_fn=lambda loss, target: loss.sum())
    schedule.scale_grads = False  # or the gradients' sums become their means

    def step() -> Any:
        stack.zero_grad()
        losses = schedule.step(*([batch] if rank == 0 else []), **({"target": target} if stack.ends else {}))
        return float if losses is None else losses.detach().sum().item
    return stack, step


def random_batch(job: Dict[str, Any]) -> torch.Tensor:
    """Standard normal numbers (N, T, H), the same in every process."""
    torch.manual_seed(2)
    return torch.randn(job["batch_size"], job["seq_len"], job["hidden_size"])


def build(job: Dict[str, Any]) -> Dict[str, Callable[[], Any]]:
    """What the worker answers to each question."""
    torch.set_num_threads(job["threads"])
    if job["work"] == "versions":
        return {"versions": lambda: {"torch": torch.__version__, "torch_python": platform.python_version()}}
    stack, step = pipeline(job) if job["work"] == "pipeline" else plain(job)
    wait = dist.barrier if job["work"] == "pipeline" else dict

    def squares() -> float:
        return sum(float(torch.sum(p.grad * p.grad)) for p in stack.parameters() if p.grad is not None)
    return {"measure": partial(measure_step, step, wait, squares, job["warmup_steps"])}


if __name__ == "__main__":
    serve(build)
