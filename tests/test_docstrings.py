"""Every public name has a numpy-style docstring that says what it takes, returns and raises."""
import ast
import dataclasses
import inspect
import pkgutil
import re
import textwrap
from importlib import import_module
from pathlib import Path

import pytest
from mxnet.gluon import Block

import mxmp

GLUONS = {"prefix", "params"}  # of every Block, which Gluon documents
STATING = ("A ", "An ", "The ", "How ", "What ", "Where ", "Whether ", "Each ", "Every ", "All ")


def public_modules():
    """Packages with public names, `mxmp.runtime`, and the modules of packages that are imported module by module."""
    yield mxmp
    for found in pkgutil.iter_modules(mxmp.__path__, "mxmp."):
        if found.ispkg or found.name == "mxmp.runtime":
            package = import_module(found.name)
            yield package
            if found.ispkg and not hasattr(package, "__all__"):
                yield from (import_module(m.name) for m in pkgutil.iter_modules(package.__path__, found.name + "."))


def public_names(module):
    return getattr(module, "__all__", [name for name, value in vars(module).items() if not name.startswith("_")
                                       and getattr(value, "__module__", None) == module.__name__])


def public_objects():
    """Functions and classes by their full names, each class followed by its public methods and properties."""
    for module in public_modules():
        for value in (getattr(module, name) for name in public_names(module)):
            if inspect.isfunction(value) or inspect.isclass(value):
                name = f"{value.__module__}.{value.__qualname__}"
                yield name, value
                for member, code in vars(value).items() if inspect.isclass(value) else ():
                    if function_of(code) and is_public(member, value):
                        yield f"{name}.{member}", code


def is_public(member, owner):
    """Whether people call it; what a block takes and returns is said in the class."""
    in_the_class = {"hybrid_forward", "forward", "__call__"} if issubclass(owner, Block) else set()
    return (member == "__call__" or not member.startswith("_")) and member not in in_the_class


def function_of(value):
    """The function that a method, property or class runs; None of other things."""
    if inspect.isclass(value):
        return vars(value).get("__init__")
    found = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return found if inspect.isfunction(found) else None


OBJECTS = dict(public_objects())


def sections(value):
    """Text under each underlined heading; what comes before them under an empty one."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(value) or "", flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def entries(section):
    """The names at the left of a section."""
    heads = [line.split(" :")[0] for line in section.splitlines() if re.match(r"\S", line)]
    return [name.strip() for head in heads for name in head.split(",")]


def parameters(value):
    """Names that must be documented: not what every Gluon block takes, nor flags that have a help text."""
    function = function_of(value)
    names = list(inspect.signature(function).parameters) if function else []
    flags = {f.name for f in dataclasses.fields(value) if f.metadata} if dataclasses.is_dataclass(value) else set()
    gluons = GLUONS if inspect.isclass(value) and issubclass(value, Block) else set()
    return [name for name in names if name not in {"self", "cls"} | gluons | flags]


def raised(value):
    """Exceptions that an object's own code makes and raises; functions inside it are not its own."""
    codes = [vars(value).get(name) for name in ("__init__", "__post_init__")] if inspect.isclass(value) \
        else [function_of(value)]
    found = set()
    for code in codes:
        waiting = ast.parse(textwrap.dedent(inspect.getsource(code))).body if has_source(code) else []
        waiting = list(waiting[0].body) if waiting else []
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.func.id[0].isupper():
                found.add(node.exc.func.id)
            if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
                waiting.extend(ast.iter_child_nodes(node))
    return found


def has_source(code):
    """Whether a function was written by hand, and not by `dataclass`."""
    return code is not None and code.__code__.co_filename.endswith(".py")


def test_the_audit_sees_public_names_and_their_faults():
    assert {"mxmp.pipeline.pipeline.Pipeline.forward_backward", "mxmp.nn.lstm.LSTMLayer.begin_state",
            "mxmp.runtime.report", "mxmp.tasks.checkpoint.save"} <= set(OBJECTS)

    def faulty(first, second):
        """Do it.

        Parameters
        ----------
        second, first : int
            Numbers.
        """
        raise RuntimeError("always")

    assert entries(sections(faulty)["Parameters"]) == ["second", "first"] != parameters(faulty)
    assert raised(faulty) == {"RuntimeError"}


@pytest.mark.parametrize("name", OBJECTS)
def test_it_begins_with_a_sentence(name):
    assert re.match(r"\S.*[.:]", sections(OBJECTS[name])[""])


@pytest.mark.parametrize("name", OBJECTS)
def test_every_parameter_is_documented_in_order(name):
    value, found = OBJECTS[name], sections(OBJECTS[name])
    if "Parameters" in found:
        assert entries(found["Parameters"]) == parameters(value)
    else:
        assert [p for p in parameters(value) if not re.search(rf"\b{p}\b", found[""])] == []


@pytest.mark.parametrize("name", OBJECTS)
def test_every_field_is_documented_in_order(name):
    value = OBJECTS[name]
    fields = getattr(value, "_fields", ())
    assert not fields or entries(sections(value)["Attributes"]) == list(fields)


@pytest.mark.parametrize("name", OBJECTS)
def test_it_says_what_it_returns(name):
    value, found = OBJECTS[name], sections(OBJECTS[name])
    if inspect.isclass(value) or isinstance(value, property):
        return
    if inspect.signature(function_of(value)).return_annotation in (None, "None"):
        assert "Returns" not in found
    elif "Returns" not in found:
        assert "Parameters" not in found
        assert found[""].startswith(STATING) or re.search(r"\breturns?\b", found[""], re.IGNORECASE)


@pytest.mark.parametrize("name", OBJECTS)
def test_it_says_what_it_raises(name):
    assert raised(OBJECTS[name]) <= set(entries(sections(OBJECTS[name]).get("Raises", "")))


@pytest.mark.parametrize("module", list(public_modules()), ids=lambda module: module.__name__)
def test_it_begins_with_a_docstring(module):
    assert module.__doc__


@pytest.mark.parametrize("module", list(public_modules()), ids=lambda module: module.__name__)
def test_every_public_value_has_a_docstring(module):
    """Constants and types have none at run time: a string below the assignment is theirs."""
    wanted = {name for name in public_names(module) if not (inspect.isroutine(getattr(module, name))
              or inspect.isclass(getattr(module, name)) or inspect.ismodule(getattr(module, name)))}
    assert wanted - documented_values(module) == set()


def documented_values(module):
    """Names assigned in a module's file, or in a package's files, that have a string below the assignment."""
    found, file = set(), Path(module.__file__)
    for path in file.parent.glob("*.py") if file.name == "__init__.py" else [file]:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in zip(body, body[1:]):
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                targets = getattr(node, "targets", [getattr(node, "target", None)])
                found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


@pytest.mark.parametrize("name", OBJECTS)
def test_it_is_written_for_markdown(name):
    """What the site would show badly: two colons before a literal block, values in the place of a type (the first would
    become the default), and Gluon's Inputs and Outputs without their underlines."""
    faults = r"::$|^ *\w+ : \{|:\w+:`|^(Inputs|Outputs):?\n(?!-)"
    assert not re.search(faults, inspect.getdoc(OBJECTS[name]), re.MULTILINE)


@pytest.mark.parametrize("name", OBJECTS)
def test_parameters_documented_together_have_one_default(name):
    """The API page shows the first one's beside all of them, and its type if none is given."""
    function = function_of(OBJECTS[name])
    known = inspect.signature(function).parameters if function else {}
    for line in sections(OBJECTS[name]).get("Parameters", "").splitlines():
        if re.match(r"\S.*,", line.split(" :")[0]):
            assert " : " in line
            defaults = [known[n.strip()].default for n in line.split(" :")[0].split(",")]
            assert all(value == defaults[0] for value in defaults), line
