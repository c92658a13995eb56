"""The house rules that can be read off the source: public names, who imports whom, and that nothing waits."""
import ast
from importlib import import_module
from pathlib import Path

import pytest

import mxmp

PACKAGE = Path(mxmp.__file__).parent
PARTS = ["benchmark", "data", "language", "nn", "partition", "pipeline", "series", "tones", "training", "translation"]
DOCUMENTED_TO_WAIT = ("probes.py", "states.py", "timeline.py")
WAITING = {"asnumpy", "asscalar", "waitall", "wait_to_read"}


def sources(*parts):
    """Files of the given parts, as paths below the package."""
    return sorted(path.relative_to(PACKAGE) for part in parts for path in (PACKAGE / part).rglob("*.py"))


def nodes(path):
    """All nodes of a file but those of `if TYPE_CHECKING:`, which never run."""
    waiting = [ast.parse((PACKAGE / path).read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def imported_parts(path):
    """First names below mxmp of everything that a file imports from mxmp."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ("mxmp", *path.parent.parts)
            base = package[:len(package) - node.level + 1] if node.level else ()
            names = [".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("mxmp.")}
    return found


@pytest.mark.parametrize("name", mxmp.__all__)
def test_every_public_name_is_there(name):
    value = getattr(mxmp, name)
    assert getattr(mxmp, name) is value
    assert value.__name__ in (name, f"mxmp.{name}")


@pytest.mark.parametrize("part", PARTS)
def test_every_public_name_of_the_parts_is_there(part):
    module = import_module(f"mxmp.{part}")
    names = getattr(module, "__all__", [])
    assert names == sorted(names, key=str.lower) or names == sorted(names)
    assert all(hasattr(module, name) for name in names)


def test_a_star_import_gives_the_public_names():
    names = {}
    exec("from mxmp import *", names)
    assert set(mxmp.__all__) <= set(names)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mxmp' has no attribute 'Pipelines'"):
        mxmp.Pipelines  # noqa: B018
    assert not hasattr(mxmp, "import_modules")


def test_the_check_of_imports_sees_imports():
    assert imported_parts(Path("translation/assemble.py")) >= {"data", "partition", "translation"}
    assert imported_parts(Path("pipeline/pipeline.py")) >= {"partition", "pipeline"}


@pytest.mark.parametrize("part, allowed", [
    ("nn", {"nn"}), ("partition", {"contexts", "machine", "nn", "partition", "units"}), ("data", {"data"}),
    ("series", {"data", "nn", "partition", "series", "training"}),
    ("tones", {"data", "nn", "partition", "tones", "training"}),
    ("training", {"__version__", "contexts", "nn", "partition", "pipeline", "runtime", "training"}),
    ("pipeline", {"nn", "partition", "pipeline", "runtime", "units"}),
    ("benchmark", {"benchmark", "contexts", "machine", "nn", "partition", "pipeline", "runtime"})])
def test_parts_import_only_what_lies_below_them(part, allowed):
    for path in sources(part):
        assert imported_parts(path) <= allowed, path


def test_the_check_for_waiting_sees_it():
    assert all(waits(Path("pipeline") / name) for name in DOCUMENTED_TO_WAIT)


def waits(path):
    """Lines that name something that waits for the device."""
    return [node.lineno for node in nodes(path) if isinstance(node, ast.Attribute) and node.attr in WAITING]


@pytest.mark.parametrize("path", sources("nn", "pipeline"), ids=str)
def test_nothing_in_a_step_waits_for_the_device(path):
    if path.parent.name != "pipeline" or path.name not in DOCUMENTED_TO_WAIT:
        assert not waits(path)
