"""The programs under scripts/, run as a user runs them."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(name, *arguments):
    """What starts a program: a file or a folder below scripts/."""
    return [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)]


def run(name, *arguments, cwd=ROOT, **kwargs):
    """A finished program, its output as text."""
    return subprocess.run(command(name, *arguments), cwd=cwd, capture_output=True, text=True, timeout=300, **kwargs)
