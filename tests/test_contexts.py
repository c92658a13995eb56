import mxnet as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp import parse_contexts


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 4)


@pytest.mark.parametrize("text, expected", [
    ("cpu(0)", [mx.cpu(0)]),
    ("cpu(0-2)", [mx.cpu(0), mx.cpu(1), mx.cpu(2)]),
    ("cpu(1-1)", [mx.cpu(1)]),
    ("cpu(1),cpu(0)", [mx.cpu(1), mx.cpu(0)]),
    (" cpu( 0 - 1 ) , cpu( 7 ) ", [mx.cpu(0), mx.cpu(1), mx.cpu(7)]),
    ("gpu(3)", [mx.gpu(3)]),
    ("gpu(0-3)", [mx.gpu(0), mx.gpu(1), mx.gpu(2), mx.gpu(3)]),
    ("gpu(1),cpu(1)", [mx.gpu(1), mx.cpu(1)]),
    ("0,2,1", [mx.gpu(0), mx.gpu(2), mx.gpu(1)]),
    ("3", [mx.gpu(3)]),
    ("2,gpu(0-1),cpu(0)", [mx.gpu(2), mx.gpu(0), mx.gpu(1), mx.cpu(0)]),
])
def test_reads_every_form(four_gpus, text, expected):
    assert parse_contexts(text) == expected


@given(ids=st.lists(st.integers(0, 99), min_size=1, max_size=8, unique=True))
def test_reads_back_what_mxnet_prints(ids):
    contexts = [mx.cpu(i) for i in ids]
    assert parse_contexts(",".join(map(str, contexts))) == contexts


@pytest.mark.parametrize("part", ["", "cpu", "cpu()", "cpu(-1)", "cpu(1", "tpu(0)", "CPU(0)", "cpu(0-)", "cpu(0 1)",
                                  "-1", "1.0", "0-1", "cpu(0)cpu(1)", "cpu_pinned(0)"])
def test_names_the_part_that_cannot_be_read(part):
    text = f"cpu(0),{part}"
    with pytest.raises(ValueError) as error:
        parse_contexts(text)
    assert f"contexts {text!r}: cannot read {part!r}; write, for example" in str(error.value)


@pytest.mark.parametrize("text", ["", "cpu(0),", ",cpu(0)", "cpu(0),,cpu(1)"])
def test_refuses_empty_parts(text):
    with pytest.raises(ValueError, match="cannot read ''"):
        parse_contexts(text)


def test_corrects_a_range_that_runs_backwards():
    with pytest.raises(ValueError, match=r"the range 'cpu\(3-1\)' runs backwards; write cpu\(1-3\)"):
        parse_contexts("cpu(0),cpu(3-1)")


@pytest.mark.parametrize("text, named", [
    ("cpu(0),cpu(0)", r"cpu\(0\)"), ("cpu(0-2),cpu(1-2)", r"cpu\(1\), cpu\(2\)"), ("1,gpu(1)", r"gpu\(1\)")])
def test_names_contexts_that_come_twice(four_gpus, text, named):
    with pytest.raises(ValueError, match=f"name {named} more than once"):
        parse_contexts(text)


def test_a_cpu_and_a_gpu_of_one_number_are_two_contexts(four_gpus):
    assert parse_contexts("cpu(0),gpu(0)") == [mx.cpu(0), mx.gpu(0)]


@pytest.mark.parametrize("text, missing", [("gpu(0-4)", 4), ("5,cpu(0)", 5), ("gpu(7),0", 7)])
def test_says_which_gpu_is_not_there(four_gpus, text, missing):
    with pytest.raises(ValueError) as error:
        parse_contexts(text)
    assert f"need gpu({missing}), but MXNet sees 4 GPUs here" in str(error.value)
    assert "CPU contexts such as \"cpu(0-1)\"" in str(error.value)


def test_without_gpus_none_can_be_named(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 0)
    with pytest.raises(ValueError, match=r"need gpu\(0\), but MXNet sees 0 GPUs"):
        parse_contexts("0")


def test_cpu_contexts_do_not_ask_for_gpus(monkeypatch):
    def fail():
        raise RuntimeError("CUDA driver is missing")

    monkeypatch.setattr(mx.context, "num_gpus", fail)
    assert parse_contexts("cpu(0-1)") == [mx.cpu(0), mx.cpu(1)]
