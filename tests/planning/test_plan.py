import mxnet as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp.planning import LayerCost, Plan

TWO = (mx.cpu(0), mx.cpu(1))


@pytest.mark.parametrize("text", ["3,5", " 3 , 5 "])
def test_reads_layers_per_context(text):
    plan = Plan.parse(text, list(TWO), 8)
    assert plan == Plan((3, 5), TWO)
    assert (plan.counts, plan.contexts) == ((3, 5), TWO)


@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_ranges_cover_every_layer_once_in_order(counts):
    plan = Plan(tuple(counts), tuple(mx.cpu(i) for i in range(len(counts))))
    assert [len(part) for part in plan.ranges] == counts
    assert [layer for part in plan.ranges for layer in part] == list(range(sum(counts)))


@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_text_is_read_back_as_the_same_plan(counts):
    plan = Plan(counts, [mx.cpu(i) for i in range(len(counts))])
    assert str(plan) == ",".join(map(str, counts))
    assert Plan.parse(str(plan), plan.contexts, sum(counts)) == plan


def test_plans_are_values():
    assert Plan([3, 5], list(TWO)) == Plan((3, 5), TWO) != Plan((5, 3), TWO)
    assert Plan((3, 5), TWO) != Plan((3, 5), TWO[::-1])
    assert len({Plan([3, 5], TWO), Plan((3, 5), TWO)}) == 1
    with pytest.raises(AttributeError):
        Plan((3, 5), TWO).counts = (4, 4)


@pytest.mark.parametrize("text, message", [
    ("3;5", "cannot read the plan '3;5'; write layers per context, for example \"3,5\""),
    ("", "cannot read the plan ''"),
    ("3,5,", "cannot read the plan '3,5,'"),
    ("3.5,4.5", "cannot read the plan"),
    ("3,6", "the plan '3,6' places 9 layers, but the chain has 8"),
    ("8", "the plan 8 gives layers to 1 stages, but there are 2 contexts; give one number of layers per context"),
    ("3,4,1", "the plan 3,4,1 gives layers to 3 stages, but there are 2 contexts"),
    ("8,0", "the plan 8,0 has an empty stage; every context needs at least one layer"),
    ("9,-1", "the plan 9,-1 has an empty stage"),
])
def test_says_what_is_wrong_with_the_text(text, message):
    with pytest.raises(ValueError) as error:
        Plan.parse(text, TWO, 8)
    assert message in str(error.value)


@pytest.mark.parametrize("counts, contexts, message", [
    ((1, 2), TWO[:1], "2 stages, but there are 1 contexts"), ((1, 0), TWO, "an empty stage"),
    ((), (), "an empty stage")])
def test_cannot_be_made_wrong(counts, contexts, message):
    with pytest.raises(ValueError, match=message):
        Plan(counts, contexts)


COUNTS, CONTEXTS = "first argument of a Plan must be whole numbers", "second argument of a Plan must be a sequence of"


@pytest.mark.parametrize("counts, contexts, message", [
    ("1,2", TWO, f"{COUNTS} .*; got '1,2'"), (("1", "2"), TWO, rf"{COUNTS} .*; got \('1', '2'\)"),
    ((1.0, 2.0), TWO, rf"{COUNTS} .*; got \(1.0, 2.0\)"), (3, TWO, f"{COUNTS} .*; got 3"),
    (TWO, (1, 2), rf"{COUNTS} .* such as \(3, 5\); got \(cpu\(0\), cpu\(1\)\)"),
    ((1, 2), ("cpu(0)", "cpu(1)"), rf"{CONTEXTS} .*parse_contexts.*; got \('cpu\(0\)', 'cpu\(1\)'\)"),
    ((1, 2), "cpu(0-1)", rf"{CONTEXTS} .*; got 'cpu\(0-1\)'"), ((3,), mx.cpu(0), rf"{CONTEXTS} .*; got cpu\(0\)"),
    ((1, 2), (0, 1), rf"{CONTEXTS} .*; got \(0, 1\)"), ((1, 2), None, f"{CONTEXTS} .*; got None")])
def test_says_what_kind_of_argument_it_takes(counts, contexts, message):
    with pytest.raises(ValueError, match=message):
        Plan(counts, contexts)


def test_takes_any_sequence_and_numpys_numbers():
    assert Plan(np.array([3, 5]), iter(TWO)) == Plan((3, 5), TWO)
    assert all(type(count) is int for count in Plan(np.array([3, 5]), TWO).counts)


COSTS = [LayerCost("embedding", 0, {"table": 2_000_000}), LayerCost("lstm", 300, {"lstm": 1234}),
         LayerCost("target", 0, {"table": 2_000_000}), LayerCost("projection", 100, {"table": 2_000_000})]


def test_table_has_a_line_per_context():
    assert Plan((3, 1), (mx.cpu(0), mx.gpu(11))).table(COSTS).splitlines() == [
        "cpu(0)      2,001,234 parameters  75.0% of the work  embedding, lstm, target",
        "gpu(11)     2,000,000 parameters  25.0% of the work  projection"]


def test_table_of_layers_without_work():
    assert "0.0% of the work" in Plan((1,), (mx.cpu(),)).table(COSTS[:1])


@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=6), gpus=st.booleans())
def test_json_is_read_back_as_the_same_plan(counts, gpus):
    plan = Plan(counts, [(mx.gpu if gpus else mx.cpu)(i) for i in range(len(counts))])
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("text", ["", "3,5", "[]", '{"layers": [3]}', '{"counts": [3], "contexts": ["tpu(0)"]}',
                                  '{"layers": "x", "contexts": ["cpu(0)"]}', '{"counts": [3], "contexts": [7]}'])
def test_says_what_is_wrong_with_json(text):
    with pytest.raises(ValueError, match="cannot read the plan .* write, for example"):
        Plan.from_json(text)


def test_is_drawn(tmp_path):
    Plan((3, 1), TWO).save(str(tmp_path / "plan.png"), COSTS, [2, 1], limit=2 ** 30)
    Plan((4,), TWO[:1]).save(str(tmp_path / "one.svg"), COSTS)
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")
    drawn = (tmp_path / "one.svg").read_text()
    assert "<svg" in drawn
