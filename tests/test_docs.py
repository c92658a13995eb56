"""The documentation's code runs, its links lead somewhere, and its flags exist."""
import re
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from mxmp.tasks.translation.options import Options

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module", params=[p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def run(request, tmp_path_factory):
    """A page, what its Python blocks printed when they ran in order, and the folder where they ran."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "page.py").write_text("\n".join(blocks(request.param)), encoding="utf-8")
    done = subprocess.run([sys.executable, "page.py"], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return request.param, done.stdout, folder


def test_the_python_blocks_run_and_print_what_the_page_shows(run):
    page, printed, folder = run
    shown = re.findall(r"```text\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    # figures that depend on the machine may differ, so digits and the room before them do not count; grids and tables
    # must be the same
    expected = [re.sub(r" *[0-9]+", "0", line.strip()) for block in shown for line in block.splitlines()]
    actual = [re.sub(r" *[0-9]+", "0", line.strip()) for line in printed.splitlines()]
    assert expected == (actual if shown else [])
    if page.name == "tutorial.md":  # what does not depend on the machine: schedules and plans
        exact = [line.rstrip() for line in printed.splitlines() if line.startswith("stage ") or "of the work" in line]
        assert len(exact) == 20 and set(exact) <= set("".join(shown).splitlines())


def test_the_tutorials_pictures_are_drawn_by_its_blocks(run):
    page, _, folder = run
    pictures = re.findall(r"images/tutorial/([\w-]+\.png)", page.read_text(encoding="utf-8"))
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert len(pictures) == (4 if page.name == "tutorial.md" else 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_are_there(page):
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_tests_that_a_page_names_are_there(page):
    tests = {f"/{path.relative_to(ROOT).as_posix()}": path.read_text(encoding="utf-8")
             for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`([\w/]*test_\w+\.py)?(?:::)?(test_\w+)?`", page.read_text(encoding="utf-8"))
    missing = [(file, name) for file, name in named if not any(
        path.endswith(f"/{file}" if file else "") and f"def {name}" + "(" * bool(name) in text
        for path, text in tests.items())]
    assert missing == []


def test_readmes_flags_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("## The flags"):text.index("## What it depends on")]
    named = set(re.findall(r"--([a-z_]+)", table)) - {"help"}
    assert named and named <= {field.name for field in fields(Options)}


def test_every_dependency_is_explained():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    names = re.findall(r'^\s+"([a-z0-9-]+)[><=]', setup, re.MULTILINE)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("## What it depends on"):]
    assert names and [name for name in names if name not in table] == []


def test_every_lower_bound_is_a_version_that_the_tests_ran_with():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    bounds = dict(re.findall(r'"([a-z0-9-]+)(?:\[\w+\])?[>=]=([\d.]+)', setup))
    lowest = (ROOT / "tests" / "lowest.txt").read_text(encoding="utf-8")
    # a build of MXNet for GPUs, and PyTorch, which the tests do not need
    assert {name: bound for name, bound in bounds.items() if name not in ("mxnet-cu112", "torch")} == dict(
        re.findall(r"^([a-z0-9-]+)==([\d.]+)$", lowest, re.MULTILINE))


def next_breaking(version):
    """The first version after one that may break what was used: the next major one, or minor one below 1.0."""
    major, minor = map(int, version.split(".")[:2])
    return (major + 1, 0) if major else (0, minor + 1)


def test_every_upper_bound_is_what_follows_the_newest_version_that_the_tests_ran_with():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    required = re.findall(r'"([a-z0-9-]+)(?:\[\w+\])?([>=]=)[\d.]+(?:,<([\d.]+))?"', setup)
    newest = dict(re.findall(r"^([a-z0-9-]+)==([\d.]+)$", (ROOT / "tests" / "newest.txt").read_text(encoding="utf-8"),
                             re.MULTILINE))
    assert {name for name, *_ in required} - {"mxnet-cu112", "torch"} == set(newest)
    for name, kind, bound in required:
        assert bool(bound) == (kind == ">="), name
        if bound and name in newest:
            upper, tested = (tuple(map(int, text.split("."))) for text in (bound, newest[name]))
            # numpy and matplotlib end earlier, at what MXNet 1.9.1 cannot take
            assert tested < upper and upper + (0,) * (2 - len(upper)) <= next_breaking(newest[name]), name


def test_the_map_of_the_house_names_files_that_are_there_and_follows_a_batch_in_twenty_stations_at_most():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:mxmp|scripts|tests)/[\w/.]*)`", text)
    assert len(paths) > 40 and [path for path in paths if not (ROOT / path).exists()] == []
    stations = re.findall(r"^(\d+)\. ", text, re.MULTILINE)
    assert stations == [str(i) for i in range(1, len(stations) + 1)] and 15 <= len(stations) <= 20
    rooms = {path.parent.name for path in (ROOT / "mxmp").glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"`mxmp/(\w+)/`", text)) and rooms <= set(re.findall(
        r">(\w+)/<", (ROOT / "docs" / "images" / "house.svg").read_text(encoding="utf-8")))


def test_the_examples_loop_on_its_page_is_the_programs():
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    program = (ROOT / "scripts" / "examples" / "forecast_series" / "train.py").read_text(encoding="utf-8")
    assert "pipe.forward_backward" in shown and textwrap.indent(shown, "    ") in program
