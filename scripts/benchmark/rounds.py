"""Measure in rounds, one after the other: a machine that slows down for a minute slows all variants down alike."""
from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from statistics import median
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence

from tqdm import tqdm

from .launcher import Launcher
from .options import Options
from .variants import MATMUL, MATMUL_ALL, Workload
from .worker import Worker

Samples = Dict[str, List[Dict[str, Any]]]  # by variant, its measurements in the rounds' order


def measure_variants(launcher: Launcher, workload: Workload, repeats: int) -> Samples:
    """Measure every variant and the machine's peak, `MATMUL` and `MATMUL_ALL`, each in a worker of its own.

    All workers are started first and stay, idle while another one measures, until the last round.
    """
    variants = [MATMUL, MATMUL_ALL, *launcher.variants]
    samples: Samples = {variant.name: [] for variant in variants}
    with ExitStack() as stack, tqdm(total=len(variants) * (1 + repeats), desc=f"batch of {workload.batch_size}",
                                    file=sys.stderr, disable=None, leave=False) as bar:
        workers = []
        for variant in variants:
            bar.set_postfix_str(f"starting {variant.name}")
            workers.append(stack.enter_context(launcher.start(variant, workload)))
            bar.update()
        for _ in range(repeats):
            for worker in workers:
                bar.set_postfix_str(worker.name)
                samples[worker.name].append(_measure(worker))
                bar.update()
    return samples


def _measure(worker: Worker) -> Dict[str, Any]:
    """One measurement; of several processes the longest time, and the sums of all else."""
    answers = worker.ask("measure")
    return {key: (max if key == "seconds" else sum)(answer[key] for answer in answers) for key in answers[0]}


def time_steps(steps: Sequence[Callable[[], Any]], wait: Callable[[], Any], options: Options) -> Iterator[List[float]]:
    """Yield, after each round that counts, the seconds until all that each step issues in this process is done."""
    for number in tqdm(range(options.warmup_steps + options.repeats), "rounds", leave=False, disable=None):
        seconds = [_seconds(step, wait) for step in steps]
        if number >= options.warmup_steps:
            yield seconds


def compare_steps(steps: Mapping[str, Callable[[], Any]], wait: Callable[[], Any], options: Options,
                  reference: str) -> List[Dict[str, Any]]:
    """Each step's name and median seconds, and the median of its rounds' ratios to the ``reference``."""
    rounds = [dict(zip(steps, seconds)) for seconds in time_steps(list(steps.values()), wait, options)]
    return [{"name": name, "seconds": median(seconds[name] for seconds in rounds),
             "ratio": median(seconds[name] / seconds[reference] for seconds in rounds)} for name in steps]


def _seconds(step: Callable[[], Any], wait: Callable[[], Any]) -> float:
    wait()
    begin = time.perf_counter()
    step()
    wait()
    return time.perf_counter() - begin
