"""The programs under scripts/, run as a user runs them."""
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from mxmp import runtime

ROOT = Path(__file__).parents[2]


def command(name, *arguments):
    """What starts a program: a file or a folder below scripts/."""
    return [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)]


def run(name, *arguments, cwd=ROOT, **kwargs):
    """A finished program, its output as text."""
    return subprocess.run(command(name, *arguments), cwd=cwd, capture_output=True, text=True, timeout=300, **kwargs)


def run_here(patch, name, *arguments, stdin=b""):
    """What a program exits with that is run in this process, where MXNet is loaded already, all for less time."""
    path = ROOT / "scripts" / name
    path = path / "__main__.py" if path.is_dir() else path
    patch.setattr(sys, "argv", command(name, *arguments)[1:])
    patch.setattr(sys, "path", ["", *sys.path])  # its first place is that of a program that is a folder
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    patch.setattr(runtime, "sys", SimpleNamespace(modules={}))
    patch.setenv("OMP_NUM_THREADS", "1")
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        exec(code, {"__name__": "__main__", "__file__": str(path)})
    except SystemExit as ended:
        return ended.code
    return 0
