"""Which program runs a variant, with how many threads and processes, and what it is told."""
from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Optional

from .options import PipelineOptions
from .variants import VARIANTS, Variant, Workload
from .worker import Worker

MXNET = [sys.executable, "-m", f"{__package__}.mxnet_worker"]
_TORCH = str(Path(__file__).with_name("torch_worker.py"))
# The allocator's settings that mxmp.runtime makes for MXNet's workers, as glibc reads them when a program starts: with
# them PyTorch's step is a tenth faster, too.
_ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2 ** 62),
              "MALLOC_TOP_PAD_": str(64 << 20)}
MATMUL_REPEATS = 8  # products per context in one measurement: a second or so


class Launcher:
    """Starts workers, after finding out what there is: contexts, versions, PyTorch.

    ``versions`` are versions and settings as the workers see them, ``variants`` those that can be measured, and
    ``left_out`` says in lines for the user why others are not among them.
    """

    def __init__(self, options: PipelineOptions) -> None:
        self._options = options
        self._torch = options.torch_python or sys.executable
        self.versions: Dict[str, Any] = {}
        self.left_out: List[str] = []
        with self._worker(Variant("setting", "setting", on="all"), MXNET, {}) as worker:
            self.versions.update(worker.ask("setting")[0])
        self.num_contexts = len(self.versions["contexts"])
        if options.num_layers < self.num_contexts:
            raise ValueError(f"--num_layers {options.num_layers} is too few for the {self.num_contexts} contexts of "
                             f"--contexts {options.contexts}; each needs at least one")
        self.variants = [VARIANTS[name] for name in options.selected if name in VARIANTS]
        if options.num_layers < self.num_contexts * options.stages_per_context:
            self._leave_out([variant for variant in self.variants if variant.schedule == "interleaved"],
                            f"--num_layers {options.num_layers} is too few for --stages_per_context "
                            f"{options.stages_per_context} on {options.contexts}")
        if any(variant.is_torch for variant in self.variants):
            self._find_torch()

    def start(self, variant: Variant, workload: Workload) -> Worker:
        """A worker that is ready to measure a variant."""
        job = {**asdict(workload), "warmup_steps": self._options.warmup_steps,
               "matmul_size": self._options.matmul_size, "matmul_repeats": MATMUL_REPEATS}
        if not variant.is_torch:
            return self._worker(variant, MXNET, job)
        processes = self.num_contexts if variant.on == "all" else 1
        return self._worker(variant, [self._torch, _TORCH], job, processes, _ALLOCATOR)

    def threads(self, variant: Variant) -> int:
        """Threads of each context, or of each of PyTorch's processes."""
        return self._options.threads_per_context * (self.num_contexts if variant.on == "threads" else 1)

    def _worker(self, variant: Variant, argv: List[str], job: Dict[str, Any], processes: int = 1,
                env: Optional[Dict[str, str]] = None) -> Worker:
        contexts = self._options.contexts if variant.on == "all" else self.versions["contexts"][0]
        return Worker(variant.name, argv, {**job, **asdict(variant), "contexts": contexts,
                                           "threads": self.threads(variant)}, processes, env)

    def _find_torch(self) -> None:
        try:
            with self._worker(Variant("torch_versions", "versions"), [self._torch, _TORCH], {}) as worker:
                self.versions.update(worker.ask("versions")[0])
        except (OSError, RuntimeError) as error:
            why = f"no PyTorch under {self._torch} ({error}); install it there: pip install \"mxmp[torch]\""
            if self._options.torch_python:
                raise ValueError(why) from None
            self._leave_out([variant for variant in self.variants if variant.is_torch], why)

    def _leave_out(self, variants: List[Variant], why: str) -> None:
        """Go without these variants, unless the user asked for them by name."""
        if variants and self._options.variants:
            raise ValueError(why) from None
        if variants:
            self.left_out.append(f"leaving {', '.join(variant.name for variant in variants)} out: {why}")
        self.variants = [variant for variant in self.variants if variant not in variants]
