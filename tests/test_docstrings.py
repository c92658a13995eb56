"""What the faces name is documented as numpydoc wants it; elsewhere a docstring is a few sentences."""
import ast
import dataclasses
import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path

import pytest
from mxnet.gluon import Block
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate

import mxmp

PACKAGE = Path(mxmp.__file__).parent
FACES = ["mxmp", "mxmp.runtime", "mxmp.schedule", *(
    ".".join(["mxmp", *path.parent.relative_to(PACKAGE).parts]) for path in sorted(PACKAGE.glob("*/**/__init__.py")))]
# a docstring; numpydoc's sections only, in its order; a summary that is a sentence; all parameters in order, each with
# type and description; what is returned and yielded
CODES = {"GL03", "GL05", "GL06", "GL07", "GL08", "SS01", "SS03", "SS04", "PR01", "PR02", "PR03", "PR04", "PR07",
         "PR10", "RT01", "RT03", "YD01"}
GLUONS = {"prefix", "params"}  # of every Block, which Gluon documents
SECTIONS = r"^ *(Parameters|Returns|Raises|Attributes|Notes|Examples|Inputs|Outputs)\n *-{3,}$"
STATING = ("A ", "An ", "The ", "How ", "What ", "Where ", "Whether ", "Each ", "Every ", "All ")


def public_names(module):
    """A face's `__all__`; of a module without one all that it defines."""
    return getattr(module, "__all__", [name for name, value in vars(module).items() if not name.startswith("_")
                                       and getattr(value, "__module__", None) == module.__name__])


def public_objects():
    """Functions and classes of the faces by full name, each class followed by its own public methods."""
    for face in map(import_module, FACES):
        for value in (getattr(face, name) for name in public_names(face)):
            if inspect.isfunction(value) or inspect.isclass(value):
                name = f"{value.__module__}.{value.__qualname__}"
                yield name, value
                for member, code in vars(value).items() if inspect.isclass(value) else ():
                    if is_public(member, value) and function_of(code):
                        yield f"{name}.{member}", getattr(value, member)


def is_block(value):
    return inspect.isclass(value) and issubclass(value, Block)


def is_public(member, owner):
    """Whether people call it; what a block takes and returns is said in the class."""
    in_the_class = {"hybrid_forward", "forward", "__call__"} if is_block(owner) else set()
    return (member == "__call__" or not member.startswith("_")) and member not in in_the_class


def function_of(value):
    """The function that a method, property or class runs; None of other things."""
    if inspect.isclass(value):
        return vars(value).get("__init__")
    found = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return found if inspect.isfunction(found) else None


OBJECTS = dict(public_objects())


class Documented(Validator):
    """numpydoc's view of a docstring, but for what Gluon's blocks all take, flags, and fields of a tuple."""

    def __init__(self, obj_name):
        super().__init__(get_doc_object(OBJECTS[obj_name]))

    @property
    def signature_parameters(self):
        names = super().signature_parameters
        if inspect.isclass(self.obj):
            flags = {f.name for f in dataclasses.fields(self.obj) if f.metadata} if dataclasses.is_dataclass(
                self.obj) else set()
            left_out = flags | (GLUONS if is_block(self.obj) else set())
            return tuple(name for name in names if name not in left_out and not hasattr(self.obj, "_fields"))
        return names


def faults(name):
    """What numpydoc finds. A short docstring may name parameters, and say what is returned, in its sentences."""
    document, value = inspect.getdoc(OBJECTS[name]), OBJECTS[name]
    sentences = not re.search(r"^Parameters\n-", document, re.MULTILINE)
    summary = " ".join(document.split("\n\n")[0].split())
    states = summary.startswith(STATING) or re.search(r"\breturns?\b", summary, re.IGNORECASE)
    named = all(re.search(rf"\b{parameter.lstrip('*')}\b", document)
                for parameter in Documented(name).signature_parameters)
    known = {"PR01": sentences and named, "RT01": states or returns_nothing(value),
             "SS03": summary.endswith((".", ":")),
             **dict.fromkeys(["GL06", "GL07"], is_block(value))}  # Inputs and Outputs are Gluon's
    return [f"{code} {message}" for code, message in validate(name, validator_cls=Documented)["errors"]
            if code in CODES and not known.get(code)]


def returns_nothing(value):
    return inspect.signature(function_of(value)).return_annotation in (None, "None") if function_of(value) else True


@pytest.mark.filterwarnings("ignore:Unknown section (Inputs|Outputs):UserWarning")
@pytest.mark.parametrize("name", OBJECTS)
def test_a_public_name_is_documented_as_numpydoc_wants_it(name):
    assert faults(name) == []


def test_numpydoc_sees_faults(monkeypatch):
    def faulty(first, second):
        """do it

        Parameters
        ----------
        second : int
        """
        return first

    monkeypatch.setattr(mxmp.runtime, "faulty", faulty, raising=False)
    monkeypatch.setitem(OBJECTS, "mxmp.runtime.faulty", faulty)
    assert {fault[:4] for fault in faults("mxmp.runtime.faulty")} >= {"SS03", "PR01", "PR07", "RT01"}
    assert {"mxmp.pipeline.pipeline.Pipeline.forward_backward", "mxmp.nn.lstm.LSTMLayer.begin_state",
            "mxmp.runtime.report", "mxmp.schedule.units.grid"} <= set(OBJECTS)


@pytest.mark.parametrize("name", OBJECTS)
def test_it_says_what_it_raises(name):
    documented = re.split(r"^Raises\n-+\n", inspect.getdoc(OBJECTS[name]), flags=re.MULTILINE)
    heads = {head.strip() for line in "".join(documented[1:]).splitlines() if re.match(r"\S", line)
             for head in line.split(",")}
    assert raised(OBJECTS[name]) <= heads


def raised(value):
    """Exceptions that an object's own code makes and raises; functions inside it are not its own."""
    codes = [vars(value).get(name) for name in ("__init__", "__post_init__")] if inspect.isclass(value) \
        else [function_of(value)]
    names = set()
    for code in codes:
        written = code is not None and code.__code__.co_filename.endswith(".py")  # by hand, and not by `dataclass`
        waiting = list(ast.parse(textwrap.dedent(inspect.getsource(code))).body[0].body) if written else []
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.func.id[0].isupper():
                names.add(node.exc.func.id)
            if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
                waiting.extend(ast.iter_child_nodes(node))
    return names


@pytest.mark.parametrize("name", [name for name, value in OBJECTS.items() if getattr(value, "_fields", ())])
def test_every_field_of_a_tuple_is_documented_in_order(name):
    listed = re.split(r"^Attributes\n-+\n", inspect.getdoc(OBJECTS[name]), flags=re.MULTILINE)[1]
    heads = [head.strip() for line in listed.splitlines() if re.match(r"\w.* :", line)
             for head in line.split(" :")[0].split(",")]
    assert heads == list(OBJECTS[name]._fields)


@pytest.mark.parametrize("name", OBJECTS)
def test_it_is_written_for_markdown(name):
    """What the site would show badly: two colons before a literal block, values in the place of a type (the first would
    become the default), and Gluon's Inputs and Outputs without their underlines."""
    bad = r"::$|^ *\w+ : \{|:\w+:`|^(Inputs|Outputs):?\n(?!-)"
    assert not re.search(bad, inspect.getdoc(OBJECTS[name]), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_no_face_names_is_documented_in_sentences(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    module = ".".join(["mxmp", *path.relative_to(PACKAGE).with_suffix("").parts])
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                owner = node.name + "." if isinstance(node, ast.ClassDef) else ""
                public = f"{module}.{owner}{child.name}" in OBJECTS
                assert public or not re.search(SECTIONS, ast.get_docstring(child) or "", re.MULTILINE), child.name


@pytest.mark.parametrize("face", FACES)
def test_every_public_value_has_a_docstring(face):
    """Constants and types have none at run time: a string below the assignment is theirs."""
    module = import_module(face)
    values = {name for name in public_names(module) if not (inspect.isroutine(getattr(module, name))
              or inspect.isclass(getattr(module, name)) or inspect.ismodule(getattr(module, name)))}
    assert values - documented_values(module) == set()


def documented_values(module):
    """Names assigned in a module's file, or in a package's files, that have a string below the assignment."""
    names, file = set(), Path(module.__file__)
    for path in file.parent.glob("*.py") if file.name == "__init__.py" else [file]:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in zip(body, body[1:]):
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                targets = getattr(node, "targets", [getattr(node, "target", None)])
                names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names
