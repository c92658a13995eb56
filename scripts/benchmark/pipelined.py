"""Steps in a pipeline over several contexts."""
from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Type

from mxmp.pipeline import Pipeline
from mxmp.pipeline.step import Step
from mxmp.planning import Plan
from mxmp.schedule import in_order

from .steps import HalfSquare, Work, contexts, random_batch, stack


class OneThread(Pipeline):
    """A pipeline without its threads: the calling one issues all stages' units, in an order that the schedule allows.

    It shows what the threads are for: on CPU contexts the fused RNN operator locks a resource of the issuing thread.
    """

    def _run(self, step: Step) -> None:
        for stage in self.stages:
            step.begin(stage)
        for unit in in_order(step.schedule):
            step.issue(self.stages[unit.stage], unit)


def pipeline(job: Dict[str, Any], kind: Type[Pipeline] = Pipeline) -> Work:
    """The stack as a pipeline; some contexts have one layer more than others where the layers do not go up."""
    places, layers = contexts(job), job["num_layers"]
    bounds = [layers * i // len(places) for i in range(len(places) + 1)]
    plan = Plan(tuple(stop - start for start, stop in zip(bounds, bounds[1:])), tuple(places))
    pipe = kind(stack(job), plan, HalfSquare(job["hidden_size"]), schedule=job["schedule"], layout="TNC",
                num_microbatches=job["num_microbatches"] if job["microbatches"] else 1,
                num_chunks=job["num_chunks"] if job["chunks"] else 1)
    data = random_batch(job)
    return Work(lambda: pipe.forward_backward(data), list(pipe.parameter_contexts))


WORKS: Dict[str, Callable[[Dict[str, Any]], Work]] = {
    "pipeline": pipeline, "one_thread": partial(pipeline, kind=OneThread)}
