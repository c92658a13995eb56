"""Measure all variants in rounds: a machine that slows down for a minute slows all of them down alike."""
from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any, Dict, List

from tqdm import tqdm

from .launch import Launcher
from .process import Worker
from .variants import MATMUL, MATMUL_ALL
from .workload import Workload

Samples = Dict[str, List[Dict[str, Any]]]  # by variant, its measurements in the rounds' order


def measure_rounds(launcher: Launcher, workload: Workload, repeats: int) -> Samples:
    """Measure every variant and the machine's peak, `MATMUL` and `MATMUL_ALL`, once a round, one at a time.

    All workers are started first and stay, idle but for their own turns, until the last round.
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
