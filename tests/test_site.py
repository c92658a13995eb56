"""The documentation builds as a site without a warning; what is in it is complete, linked, and all its own."""
import inspect
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
HAS_MKDOCS = all(map(find_spec, ("mkdocs", "material", "mkdocstrings")))


class Page(HTMLParser):
    """What a page's links and pictures point to, what can be pointed to, and its paragraphs' text."""

    def __init__(self, html):
        super().__init__()
        self.targets, self.loaded, self.ids, self.paragraphs, self.programs_in_cells = [], [], set(), [], 0
        self._inside = {"p": 0, "pre": 0, "code": 0, "td": 0}
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.targets.append(given["href"])
        elif "src" in given or tag == "link":
            self.loaded.append(given.get("src") or given["href"])
        self.programs_in_cells += tag == "pre" and self._inside["td"] > 0
        if tag in self._inside:
            self._inside[tag] += 1
        if tag == "p":
            self.paragraphs.append("")

    def handle_endtag(self, tag):
        if tag in self._inside:
            self._inside[tag] -= 1

    def handle_data(self, data):
        if self._inside["p"] and not self._inside["code"]:
            self.paragraphs[-1] += data


def dead_links(pages, folder):
    """Links and pictures within a site that lead nowhere; ``pages`` are parsed pages by path."""
    dead = []
    for path, page in pages.items():
        for target in page.targets + page.loaded:
            parts = urlsplit(target)
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not parts.scheme and (parts.path.startswith("/") or not file.is_file() or parts.fragment
                                     and unquote(parts.fragment) not in pages[file].ids):
                dead.append((path.relative_to(folder).as_posix(), target))
    return dead


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not HAS_MKDOCS:
        pytest.skip("mkdocs is not installed; it comes with mxmp's extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(folder):
    """The site's pages by path; the page for what was not found is not one: its links begin at the server's root."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html") if path.name != "404.html"}


@pytest.fixture(scope="module")
def inventory(folder):
    """Where each documented name is, as Sphinx's inventories say it: four lines, then compressed ones."""
    lines = zlib.decompress((folder / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode().splitlines()
    return {line.split()[0]: line.split()[3].replace("$", line.split()[0]) for line in lines}


def public_names():
    """Full names of what mxmp, its packages and modules make public, but for modules."""
    for path in (ROOT / "mxmp").rglob("__init__.py"):
        name = ".".join(path.parent.relative_to(ROOT).parts)
        module = import_module(name)
        for public in getattr(module, "__all__", []):
            if not inspect.ismodule(getattr(module, public)):
                yield f"{name}.{public}"


@pytest.mark.parametrize("name", list(public_names()))
def test_every_public_name_is_on_an_api_page(name, inventory, pages, folder):
    nested = f"{name}.{name.split('.')[-1]}"  # a function hides the module of its name
    page, anchor = inventory[name if name in inventory else nested].split("#")
    assert page.startswith("api/") and anchor in pages[(folder / page).resolve()].ids


@pytest.mark.parametrize("name", ["configure", "report", "advise"])
def test_the_functions_of_runtime_are_on_its_page(name, inventory):
    assert inventory[f"mxmp.runtime.{name}"].startswith("api/mxmp.runtime.html#")


def test_the_navigation_has_every_page(pages, folder):
    home = folder / "index.html"
    linked = {(folder / urlsplit(target).path).resolve() for target in pages[home].targets if urlsplit(target).path}
    assert set(pages) - linked <= {home}
    assert len(pages) > len(list((ROOT / "docs").glob("*.md")))


def test_no_link_is_dead(pages, folder):
    assert sum(len(page.targets) for page in pages.values()) > 100
    assert dead_links(pages, folder) == []


def test_a_dead_link_would_be_seen(tmp_path):
    texts = {"a.html": '<p id="x"><a href="#x"><a href="#y"><a href="b.html#z"><a href="https://mxnet.apache.org">',
             "b.html": '<a href="a.html#x"><img src="c.png"><a href="/a.html">'}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    pages = {tmp_path / name: Page(text) for name, text in texts.items()}
    assert dead_links(pages, tmp_path) == [("a.html", "#y"), ("a.html", "b.html#z"), ("b.html", "/a.html"),
                                           ("b.html", "c.png")]


def test_nothing_comes_from_other_hosts(pages):
    assert [target for page in pages.values() for target in page.loaded if urlsplit(target).netloc] == []


def test_lists_and_tables_are_lists_and_tables(pages, folder):
    """Python-Markdown, unlike GitHub, wants an empty line before and after them."""
    raw = [(path.name, text[:60]) for path, page in pages.items() for text in page.paragraphs
           if any(line.lstrip().startswith(("|", "- ", "* ")) for line in text.splitlines())]
    assert raw == []
    assert [path.name for path, page in pages.items() if page.programs_in_cells] == []
