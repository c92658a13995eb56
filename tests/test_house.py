"""The house rules that can be read off the source: public names, who imports whom, and that nothing waits."""
import ast
from importlib import import_module
from pathlib import Path

import pytest
from helpers import house

import mxmp

PACKAGE = Path(mxmp.__file__).parent
PARTS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
DOCUMENTED_TO_WAIT = ("errors.py", "optimizer_file.py", "parameters.py", "timeline.py")
WAITING = {"asnumpy", "asscalar", "waitall", "wait_to_read"}


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


def test_nothing_imports_what_stands_above_it():
    assert house.violations(PACKAGE) == []


@pytest.mark.parametrize("planted, seen", [
    ({"planning/plan.py": "from ..pipeline import Pipeline"}, "planning/plan.py imports pipeline/__init__.py"),
    ({"planning/plan.py": "from mxmp.tasks.run import Run"}, "planning/plan.py imports tasks/run.py"),
    ({"nn/lstm.py": "def f():\n    from ..planning import Plan"}, "nn/lstm.py imports planning/__init__.py"),
    ({"nn/lstm.py": "from ..data import Corpus"}, "nn/lstm.py imports data/__init__.py"),
    ({"data/corpus.py": "from .. import nn"}, "data/corpus.py imports nn/__init__.py"),
    ({"pipeline/cut.py": "from ..data import Corpus"}, "pipeline/cut.py imports data/__init__.py"),
    ({"schedule.py": "from . import planning"}, "schedule.py imports planning/__init__.py"),
    ({"sizes.py": "import mxmp.nn.lstm"}, "sizes.py imports nn/lstm.py"),
    ({"nn/lstm.py": "from .. import Pipeline"}, "nn/lstm.py imports __init__.py"),
    ({"planning/plan.py": "from importlib import import_module\nimport_module('mxmp.pipeline.pipeline').Pipeline"},
     "planning/plan.py imports pipeline/pipeline.py"),
    ({"planning/plan.py": "import importlib\nimportlib.import_module('..pipeline', __package__)"},
     "planning/plan.py imports pipeline/__init__.py"),
    ({"planning/plan.py": "import_module(name)"}, "planning/plan.py imports what only running tells"),
    ({"planning/plan.py": "if TYPE_CHECKING:\n    from ..tasks import run"}, "planning/plan.py imports tasks/run.py"),
    ({"tasks/run.py": "from benchmark import variants"}, "tasks/run.py imports a program, benchmark.variants"),
    ({"tasks/run.py": "import scripts.plan"}, "tasks/run.py imports a program, scripts.plan"),
    ({"nn/lstm.py": "from .chain import Chain", "nn/chain.py": "def f():\n    from .lstm import LSTMLayer"},
     "circle: nn/chain.py -> nn/lstm.py -> nn/chain.py"),
    ({"attic/old.py": ""}, "attic is on no floor"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_planted_violation_is_seen(tmp_path, planted, seen):
    package = tmp_path / "mxmp"
    clean = {"schedule.py": "", "sizes.py": "", "nn/lstm.py": "", "nn/chain.py": "", "data/corpus.py": "",
             "planning/plan.py": "from ..schedule import Unit\nfrom .. import nn", "pipeline/pipeline.py": "",
             "pipeline/cut.py": "from ..planning import Plan", "tasks/run.py": "from ..data import Corpus"}
    for name, text in clean.items():
        plant(package, name, text)
    assert house.violations(package) == []
    for name, text in planted.items():
        plant(package, name, text)
    assert house.violations(package) == [seen]


def test_a_short_file_is_used_by_two_or_is_a_face_or_a_program(tmp_path):
    assert house.lonely(PACKAGE) == []
    package = tmp_path / "mxmp"
    for name, text in {"nn/one.py": "", "nn/two.py": "from . import three", "nn/three.py": "", "nn/long.py": "\n" * 61,
                       "nn/four.py": "from . import two, three", "nn/five.py": "from . import two, four, long",
                       "nn/six.py": "from . import four, five" + "\n" * 61}.items():
        plant(package, name, text)
    assert house.lonely(package) == ["nn/five.py", "nn/one.py"]


@pytest.mark.parametrize("path", sorted([*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "scripts").rglob("*.py")]),
                         ids=lambda path: path.relative_to(PACKAGE.parent).as_posix())
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in house.nodes(path):
        if isinstance(node, ast.FunctionDef):
            begins = node.body[0].end_lineno + 1 if ast.get_docstring(node) else node.lineno
            assert node.end_lineno - begins < 35, node.name


def plant(package, name, text):
    """Write a file, and the faces of the folders that it lies in."""
    path = package / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for folder in {package, path.parent}:
        (folder / "__init__.py").write_text("")


def sources(*parts):
    """Files of the given parts, as paths below the package."""
    return sorted(path.relative_to(PACKAGE) for part in parts for path in (PACKAGE / part).rglob("*.py"))


def test_the_check_for_waiting_sees_it():
    assert all(waits(Path("pipeline") / name) for name in DOCUMENTED_TO_WAIT)


def waits(path):
    """Lines that name something that waits for the device."""
    return [node.lineno for node in house.nodes(PACKAGE / path, with_types=False)
            if isinstance(node, ast.Attribute) and node.attr in WAITING]


@pytest.mark.parametrize("path", sources("nn", "pipeline"), ids=str)
def test_nothing_in_a_step_waits_for_the_device(path):
    if path.parent.name != "pipeline" or path.name not in DOCUMENTED_TO_WAIT:
        assert not waits(path)
