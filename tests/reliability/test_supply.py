"""No file that is loaded can run code, what is downloaded is what was expected, and dependencies have tested bounds."""
import ast
import io
import os
import pickle
import re
import zipfile
from importlib import import_module

import mxnet as mx
import numpy as np
import pytest
from helpers.programs import ROOT
from helpers.stacks import lstm_chain, pipelined, random_values

from mxmp import Plan, Trainer, command
from mxmp.data import Corpus, ParallelText, Subwords, load_tatoeba, prepare, read_lines
from mxmp.planning import Profile
from mxmp.tasks import checkpoint
from mxmp.tasks.language.vocabulary import load_vocabulary
from mxmp.tasks.translation.options import Options

SOURCES = sorted([*(ROOT / "mxmp").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")])
RUNS_CODE = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "yaml", "code", "runpy"}
FETCHES = {"pooch", "requests", "urllib3", "urllib.request", "http", "socket", "ftplib", "httpx", "aiohttp"}


def imported(tree):
    """The modules that a file imports by name, with those that they are in."""
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    names += [f"{node.module}.{alias.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
              for alias in node.names]
    return {".".join(name.split(".")[:i + 1]) for name in names for i in range(len(name.split(".")))}


def dotted(node):
    """The name that an expression consists of, from behind as far as it is one."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return getattr(node, "id", "")


def dangers(tree):
    """What in a file could run code that somebody else wrote: lines and names."""
    found = [(0, name) for name in imported(tree) & RUNS_CODE]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, given = dotted(node.func), {key.arg: getattr(key.value, "value", None) for key in node.keywords}
        if called in ("eval", "exec", "compile", "__import__", "torch.load", "os.system") or \
                called.endswith(".set_states") or given.get("shell") or \
                called in ("np.load", "numpy.load") and given.get("allow_pickle") is not False:
            found.append((node.lineno, called))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_can_run_what_a_file_says(path):
    assert dangers(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("source", [
    "import pickle", "from pickle import loads", "def f():\n    import dill as d", "eval(text)", "exec(text)",
    "torch.load(path)", "np.load(path)", "np.load(path, allow_pickle=True)", "self._updaters[0].set_states(data)",
    "subprocess.run(text, shell=True)", "compile(text, path, 'exec')"])
def test_a_planted_danger_is_seen(source):
    assert len(dangers(ast.parse(source))) == 1
    assert dangers(ast.parse("re.compile(text)\nnp.load(path, allow_pickle=False)\nmx.nd.load(path)")) == []


class Malicious:
    """Unpickled, it makes a folder."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def payloads(marker):
    """Files that make a folder where pickles in them are loaded, by name."""
    array = np.array([Malicious(marker)], dtype=object)
    keys = ["dropped", "model_src", "model_tgt"]
    keys += [f"{split}_{kind}" for split in ("train", "valid", "test") for kind in ("ids", "lengths")]
    files = {f"protocol {protocol}": pickle.dumps(Malicious(marker), protocol) for protocol in (0, 2, 4)}
    return {**files, "npy": npy(array), "npz": npz(**dict.fromkeys(keys, array)),
            "zip": zipped({"data.pkl": files["protocol 2"], "deu.txt": files["protocol 2"]})}


@pytest.fixture(scope="module")
def trained():
    chain = lstm_chain()
    pipe = pipelined(chain, random_values(chain), mx.gluon.loss.L2Loss(), (3, 3))
    return pipe, Trainer(pipe, "adam")


def parameters(path, trained):
    trained[0].load_parameters(str(path))


def plain_parameters(path, trained):
    lstm_chain().load_parameters(str(path))


def states(path, trained):
    trained[1].load_states(str(path))


def described(path, trained):
    path.rename(path.with_name("checkpoint.json"))
    checkpoint.read(path.parent)


def options(path, trained):
    path.rename(path.with_name("options.json"))
    command.saved_options(path.parent, Options)


def subwords(path, trained):
    path.rename(path.with_name("subwords.model"))
    Subwords.load(path.parent)


def words(path, trained):
    path.rename(path.with_name("words.json"))
    load_vocabulary(path.parent)


def profile(path, trained):
    Profile.load(str(path))


def plan(path, trained):
    Plan.from_json(path.read_bytes().decode("latin-1"))


def text(path, trained):
    read_lines(path)
    raise ValueError("it may be text, which is as well")


def tatoeba(path, trained):
    path.rename(path.with_name("deu-eng.zip"))
    load_tatoeba(path.parent)


LOADERS = [parameters, plain_parameters, states, described, options, subwords, words, profile, plan, text, tatoeba]


@pytest.mark.parametrize("kind", ["protocol 0", "protocol 2", "protocol 4", "npy", "npz", "zip"])
@pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__name__)
def test_a_malicious_file_is_refused_and_runs_nothing(tmp_path, trained, load, kind):
    (tmp_path / "file").write_bytes(payloads(tmp_path / "marker")[kind])
    with pytest.raises((ValueError, RuntimeError, AssertionError)):
        load(tmp_path / "file", trained)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("kind", ["protocol 0", "protocol 2", "protocol 4", "npy", "npz", "zip"])
def test_a_malicious_cache_is_made_anew_and_runs_nothing(tmp_path, kind, caplog):
    pairs = ParallelText(["a b"] * 4, ["b a"] * 4)
    corpus = Corpus("tiny", "a", "b", pairs, pairs, pairs)
    expected = prepare(corpus, 10, cache_dir=tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(payloads(tmp_path / "marker")[kind])
    assert prepare(corpus, 10, cache_dir=tmp_path / "cache").train == expected.train
    assert "damaged cache entry" in caplog.text and not (tmp_path / "marker").exists()


@pytest.mark.parametrize("kind", ["protocol 0", "protocol 2", "protocol 4", "npy", "npz"])
def test_these_files_do_harm_where_pickles_are_loaded(tmp_path, kind):
    data = payloads(tmp_path / "marker")[kind]
    if kind == "npz":
        np.load(io.BytesIO(data), allow_pickle=True)["dropped"]
    elif kind == "npy":
        np.load(io.BytesIO(data), allow_pickle=True)
    else:
        pickle.loads(data)
    assert (tmp_path / "marker").exists()


def test_addresses_are_https_and_one_module_fetches_what_has_checksums():
    texts = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert [path.name for path, tree in texts.items() if imported(tree) & FETCHES] == ["multi30k.py"]
    urls = [node.value for tree in texts.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)
            and isinstance(node.value, str) and re.match(r"\w+://\w", node.value)]
    module = import_module("mxmp.data.multi30k")
    assert module.MULTI30K_URL in urls and all(url.startswith("https://") for url in urls)
    assert module._CHECKSUMS and all(re.fullmatch("[0-9a-f]{64}", value) for value in module._CHECKSUMS.values())
