"""Each test runs a new Python: what it asks is what happens before MXNet is loaded."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHANGES_THREADS_OR_ALLOCATOR = ("OMP_NUM_THREADS", "LD_PRELOAD", "GLIBC_TUNABLES")


def python(code, **environment):
    """Run code in a new process; returns what it prints, read as JSON."""
    ours = {k: v for k, v in os.environ.items() if k not in CHANGES_THREADS_OR_ALLOCATOR}
    code = "import json, os, sys\n" + code
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**ours, **environment},
                          timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_mxmp_or_its_runtime_does_not_load_mxnet():
    assert python("import mxmp\nfrom mxmp import runtime\nruntime.report()\n"
                  "print(json.dumps([name for name in ('mxnet', 'numpy') if name in sys.modules]))") == []


def test_configure_works_before_mxnet_and_mxnet_works_after_it():
    report, threads, total = python(
        "from mxmp import runtime\nreport = runtime.configure(2)\nimport mxnet as mx\n"
        "print(json.dumps([report, os.environ['OMP_NUM_THREADS'], mx.nd.ones((300, 300)).sum().asscalar().item()]))")
    assert (report["threads_per_context"], threads, total) == (2, "2", 90000)


def test_configure_replaces_what_was_set_by_one_thread():
    assert python("from mxmp import runtime\nruntime.configure()\nprint(json.dumps(os.environ['OMP_NUM_THREADS']))",
                  OMP_NUM_THREADS="7") == "1"


def test_configure_is_refused_once_mxnet_is_loaded():
    message, threads = python(
        "import mxnet\nfrom mxmp import runtime\n"
        "try:\n    runtime.configure(2)\nexcept RuntimeError as error:\n"
        "    print(json.dumps([str(error), os.environ.get('OMP_NUM_THREADS')]))")
    assert message.startswith("MXNet is already loaded") and "before the first import of mxnet" in message
    assert threads is None


@pytest.mark.parametrize("threads, bound", [(0, "least 1"), (-2, "least 1"), (100_000, "most 1024")])
def test_configure_refuses_impossible_numbers_of_threads(threads, bound):
    message, variable = python(
        "from mxmp import runtime\n"
        f"try:\n    runtime.configure({threads})\nexcept ValueError as error:\n"
        "    print(json.dumps([str(error), os.environ.get('OMP_NUM_THREADS')]))")
    assert message == f"threads_per_context must be at {bound}, got {threads}"
    assert variable is None


def test_report_says_what_is_in_force():
    before, returned, after, cores = python(
        "from mxmp import runtime\nbefore = runtime.report()\nreturned = runtime.configure(3)\n"
        "print(json.dumps([before, returned, runtime.report(), len(os.sched_getaffinity(0))]))")
    assert before == {"threads_per_context": None, "allocator": "system default", "cores": cores}
    assert returned == after
    assert after["threads_per_context"] == 3
    assert after["allocator"] in ("glibc, keeps its memory", "system default")


@pytest.mark.parametrize("variable, threads", [("4", 4), ("", None), ("all", None)])
def test_report_reads_the_environment(variable, threads):
    report = python("from mxmp import runtime\nprint(json.dumps(runtime.report()))", OMP_NUM_THREADS=variable)
    assert report["threads_per_context"] == threads


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_glibc_keeps_freed_memory():
    """Without mallopt a freed 64 MiB block is unmapped at once, and its pages are faulted in again."""
    faults = ("import resource\n"
              "def faults():\n"
              "    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
              "    for _ in range(4):\n        bytearray(b'x') * (1 << 26)\n"
              "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start\n")
    default, kept, allocator = python(
        faults + "from mxmp import runtime\ndefault = faults()\nreport = runtime.configure()\nfaults()\n"
        "print(json.dumps([default, faults(), report['allocator']]))")
    if allocator == "system default" or not default:
        pytest.skip("this C library has no mallopt, or this system does not count page faults")
    assert kept < default / 10


def test_without_mallopt_the_report_says_so():
    assert python("import ctypes\nctypes.CDLL = lambda name: object()\nfrom mxmp import runtime\n"
                  "print(json.dumps(runtime.configure()['allocator']))") == "system default"


WARNINGS = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    {first}
    from mxmp import Pipeline, pipeline, runtime
    runtime.advise()
found = [str(w.message) for w in caught if w.category is RuntimeWarning]
print(json.dumps([found, os.environ.get("OMP_NUM_THREADS")]))
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core has one thread")
def test_a_running_program_is_warned_once_and_left_as_it_is():
    found, threads = python(WARNINGS.format(first="import mxnet"))
    assert len(found) == 1 and threads is None
    assert "OMP_NUM_THREADS is not 1" in found[0] and "can hang" in found[0] and "allocator" in found[0]
    assert "`from mxmp import runtime; runtime.configure(threads_per_context=1)`" in found[0]


def test_the_warning_names_only_what_is_wrong():
    found, _ = python(WARNINGS.format(first="import mxnet"), OMP_NUM_THREADS="1")
    assert len(found) == 1 and "OMP_NUM_THREADS" not in found[0] and "allocator" in found[0]


@pytest.mark.parametrize("first, environment", [
    ("from mxmp import runtime; runtime.configure(2)", {}),
    ("import mxnet", {"OMP_NUM_THREADS": "1", "GLIBC_TUNABLES": "glibc.malloc.trim_threshold=4294967296"})])
def test_a_program_that_chose_its_settings_is_not_warned(first, environment):
    assert python(WARNINGS.format(first=first), **environment)[0] == []
