#!/usr/bin/env python3
"""Recognize sequences of generated tones with LSTM layers on several contexts, and CTC."""
import sys
from pathlib import Path

from mxmp import command

sys.path[0] = str(Path(__file__).parents[1])  # started as a folder, Python knows what is in it, but not itself

from recognize_tones.program import main  # noqa: E402

command.run(main)
