"""Step times, speed-ups and peak memory of the pipeline beside plain Gluon and PyTorch, each in a process of its own.

Nothing here loads MXNet but `steps`, which the MXNet workers import after they have set their threads: the program that
starts the workers needs neither framework, and PyTorch's workers need only PyTorch.
"""
from .options import Options
from .variants import VARIANTS, Variant
from .workload import Workload

__all__ = ["Options", "VARIANTS", "Variant", "Workload"]
