"""What mkdocs makes besides the pages in this folder: pages of other files, API pages, and links to these."""
import ast
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
OTHERS = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def modules():
    """Files of mxmp, its packages and the modules that it makes public, by name: each gets a page."""
    top = ROOT / "mxmp" / "__init__.py"
    files = {".".join(["mxmp", *file.parent.relative_to(top.parent).parts]): file
             for file in top.parent.rglob("__init__.py")}
    for name in public_names(top):
        if (top.parent / f"{name}.py").is_file():
            files[f"mxmp.{name}"] = top.parent / f"{name}.py"
    return dict(sorted(files.items()))


def public_names(path):
    """The `__all__` of a file, read without importing it; nothing where there is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


MODULES = modules()
# Where griffe has a public name: mxmp's own in the package that it is from, and a function that has its module's name,
# which hides it, in that module.
HOMES = {name: f"{module}.{name}.{name}" if (path.parent / f"{name}.py").is_file() else f"{module}.{name}"
         for module, path in MODULES.items() for name in public_names(path) if f"{module}.{name}" not in MODULES}


def api_page(module, path):
    """The text of a module's page."""
    names = public_names(path)
    if module == "mxmp":
        body, alone = index(names), [name for name in names if HOMES.get(name) == f"mxmp.{name}"]
    elif path.name == "__init__.py" and not names:
        body, alone = f"::: {module}\n    options: {{show_submodules: true, summary: true}}\n", []
    else:
        body, alone = f"::: {module}\n", [name for name in names if HOMES[name] == f"{module}.{name}.{name}"]
    options = "    options: {show_root_heading: true, show_root_toc_entry: true}\n"
    return f"# {module}\n\n{body}\n" + "\n".join(f"::: {HOMES[name]}\n{options}" for name in alone)


def index(names):
    """Tables of mxmp's packages, and of what it has from them."""
    lines = [summary(MODULES["mxmp"]), "", "| package or module | what is in it |", "|---|---|"]
    lines += [f"| [`{module}`]({module}.md) | {summary(path)} |" for module, path in MODULES.items()
              if module != "mxmp"]
    lines += ["", "| name at the top level | the same as |", "|---|---|"]
    lines += [f"| `mxmp.{name}` | `{HOMES[name]}` |" for name in names if HOMES.get(name, "").count(".") > 1]
    return "\n".join(lines) + "\n"


def summary(path):
    """The first line of a file's docstring."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split("\n")[0]


def on_config(config):
    for item in config.nav:
        if "API reference" in item:
            item["API reference"] = [{module: f"api/{module}.md"} for module in MODULES]
    return config


def on_files(files, config):
    for page, source in OTHERS.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    for module, path in MODULES.items():
        files.append(File.generated(config, f"api/{module}.md", content=api_page(module, path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Call a page by its name where the text, written for the repository, has its path."""
    return re.sub(r"\[docs/(\w+)\.md\]", lambda found: f"[{found.group(1).capitalize().replace('_', ' ')}]", markdown)


def on_page_content(html, page, config, files):
    """Link code that is a public name, such as `nn.StackedLSTM`, to the API, and pictures to their full size.

    Flags get a class of their own: on phones a line would end behind their dashes.
    """
    module = page.file.name if page.url.startswith("api/") else None
    if module:
        html = re.sub(r"\bdocs/(\w+)\.md\b", r'<a href="../\1.html">\g<0></a>', html)
    html = re.sub(r"<code>(--\w+( \w+)?</code>)", r'<code class="flag">\1', html)
    html = re.sub(r'<img [^>]*src="([^"]+)"[^>]*>', r'<a href="\1">\g<0></a>', html)
    return re.sub(r"(?<!\">)<code>([A-Za-z_][\w.]*)</code>(?!</a>)", lambda found: linked(found, module), html)


def linked(code, module):
    """Code with a link if it is a public name; a mere word may be a parameter or a flag, but for the module's own."""
    text = code.group(1)
    first, *rest = re.sub(r"^mxmp\.", "", text).split(".")
    if rest and f"mxmp.{first}" in MODULES:
        first, *rest = rest
    home = HOMES.get(first, "")
    if not home or text.islower() and "." not in text and not home.startswith(f"{module}."):
        return code.group()
    return f'<autoref identifier="{".".join([home, *rest])}" optional>{code.group()}</autoref>'
