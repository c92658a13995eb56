"""Who imports whom, read off the source: what the tests of the house's rules are made of."""
import ast

FLOORS = ("schedule", "planning", "pipeline", "tasks")  # each knows what stands before it, never what stands behind
GROUND = ("nn", "data")  # know no floor, and not each other
# Programs and what they share, which the package does not know.
PROGRAMS = ("scripts", "benchmark", "examples", "example_run", "forecast_series", "recognize_tones")


def nodes(path, with_types=True):
    """All nodes of a file, inside functions too; those of `if TYPE_CHECKING:`, which never run, if asked for."""
    waiting = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if with_types or not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def imported_names(package, path):
    """Absolute names that a file imports, by statement, `import_module` or `__import__`; None for one that a call
    makes up as it runs."""
    base = (package.name, *path.relative_to(package).parent.parts)
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = base[:len(base) - node.level + 1] if node.level else ()
            yield from (".".join([*start, *filter(None, [node.module]), alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
                "import_module", "__import__"):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            dots = len(name) - len(name.lstrip(".")) if name else 0
            yield ".".join([*base[:len(base) - dots + 1], name[dots:]]) if dots else name


def file_of(package, name):
    """The file of the package that has a name, or None of a name from elsewhere."""
    first, *rest = name.split(".")
    if first != package.name:
        return None
    path = package
    for part in rest:
        if (path / f"{part}.py").is_file():
            return path / f"{part}.py"
        if not (path / part).is_dir():
            break
        path /= part
    return path / "__init__.py"


def graph(package):
    """Of every file of the package the files of the package that it imports; a name that a call makes up is None."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        names = [name for name in imported_names(package, path) if name != f"{package.name}.__version__"]
        found[path] = {None if name is None else file_of(package, name) for name in names if name is None
                       or file_of(package, name)} - {path}
    return found


def part(package, path):
    """The folder, or of a file at the top its name, that a file belongs to."""
    return path.relative_to(package).parts[0].split(".")[0]


def allowed(importer, imported, folders):
    """Whether one part of the package may import another."""
    if importer == imported or importer == "__init__":
        return True
    if importer in FLOORS and imported in FLOORS:
        return FLOORS.index(imported) < FLOORS.index(importer)
    if importer in FLOORS[1:]:  # what stands on the ground; data is for tasks alone
        return imported != "__init__" and (imported != "data" or importer == "tasks")
    if importer not in folders and imported == FLOORS[0]:  # modules at the top may know the lowest floor
        return True
    return imported not in FLOORS[1:] and imported not in folders and imported != "__init__"


def violations(package):
    """What the rule of the floors forbids, in words: one line for each import upward, circle or hidden import."""
    files, folders = graph(package), {path.name for path in package.iterdir() if path.is_dir()}
    found = [f"{folder} is on no floor" for folder in sorted(folders - {*FLOORS, *GROUND, "__pycache__"})]
    for path, imported in files.items():
        where = path.relative_to(package).as_posix()
        found += [f"{where} imports a program, {name}" for name in imported_names(package, path)
                  if name and name.split(".")[0] in PROGRAMS]
        if None in imported and where != "__init__.py":
            found.append(f"{where} imports what only running tells")
        found += [f"{where} imports {other.relative_to(package).as_posix()}" for other in imported - {None}
                  if not allowed(part(package, path), part(package, other), folders)]
    return found + [f"circle: {' -> '.join(map(str, circle))}" for circle in circles(package, files)]


def circles(package, files):
    """One circle of imports, as paths, if there are any. A package's face is not counted: Python allows
    ``from .. import nn`` in what `nn` does not need."""
    state, stack = {}, []

    def visit(path):
        state[path] = "open"
        stack.append(path)
        for other in sorted(files.get(path, set()) - {None}):
            if state.get(other) == "open":
                return [p.relative_to(package).as_posix() for p in [*stack[stack.index(other):], other]]
            circle = visit(other) if other not in state else None
            if circle:
                return circle
        stack.pop()
        state[path] = "done"
        return None

    top = package / "__init__.py"
    state[top] = "done"  # the face of all, whose imports are made on first use
    for path in files:
        circle = visit(path) if path not in state else None
        if circle:
            return [circle]
    return []


def lonely(package):
    """Files that are neither imported by two others, nor a face or a program, nor longer than 60 lines."""
    files = graph(package)
    short = [path for path in files if path.name not in ("__init__.py", "__main__.py")
             and len(path.read_text(encoding="utf-8").splitlines()) <= 60]
    return [path.relative_to(package).as_posix() for path in short
            if sum(path in imported for imported in files.values()) < 2]
