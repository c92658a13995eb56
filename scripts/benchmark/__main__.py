#!/usr/bin/env python3
"""Measure mxmp on this machine."""
import sys
from pathlib import Path

from mxmp import command

sys.path[0] = str(Path(__file__).parents[1])  # started as a folder, Python knows what is in it, but not itself

from benchmark.program import main  # noqa: E402

command.run(main)
