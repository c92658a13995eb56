"""Pictures of units over time."""
import re
import xml.etree.ElementTree as ElementTree

import pytest

from mxmp.pictures import draw_units
from mxmp.schedule import Span, Unit, fill_drain, interleaved, rounds, wavefront

ROWS = ["cpu(0)", "cpu(1)"]


def spans_of(schedule, start=5.0):
    """A turn takes a hundredth of a second."""
    return [Span(unit, start + 0.01 * i, start + 0.01 * (i + 1)) for i, row in enumerate(rounds(schedule))
            for unit in row if unit]


def drawn(tmp_path, spans, rows=ROWS, title="title"):
    """The picture as SVG; matplotlib repeats every text as a comment."""
    path = str(tmp_path / "picture.svg")
    draw_units(path, spans, rows, title)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    ElementTree.fromstring(text)
    return text


def texts(svg):
    return re.findall("<!-- (.*?) -->", svg)


@pytest.mark.parametrize("ending, begin", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_files_ending_chooses_the_format(tmp_path, ending, begin):
    path = tmp_path / f"picture.{ending}"
    draw_units(str(path), spans_of(fill_drain(2, 2)), ROWS, "title")
    assert path.read_bytes().startswith(begin)


def test_there_is_a_labelled_box_for_every_unit_and_a_name_for_every_row(tmp_path):
    svg = drawn(tmp_path, spans_of(fill_drain(2, 3)), title="a title")
    labels = [text for text in texts(svg) if re.fullmatch(r"[FB]\d", text)]
    assert sorted(labels) == sorted([f"{kind}{m}" for kind in "FB" for m in range(3)] * 2)
    assert {"cpu(0)", "cpu(1)", "milliseconds", "a title"} <= set(texts(svg))


def test_forward_and_backward_units_have_their_own_colours(tmp_path):
    svg = drawn(tmp_path, spans_of(fill_drain(2, 3))[:-2])  # one backward unit each on both rows less
    colours = re.findall(r"fill: (#[0-9a-f]{6}); stroke: #ffffff", svg)
    assert sorted(map(colours.count, set(colours))) == [4, 6]


def test_with_chunks_labels_have_microbatch_and_chunk(tmp_path):
    svg = drawn(tmp_path, spans_of(wavefront(2, 1, 3)))
    labels = [text for text in texts(svg) if re.fullmatch(r"[FB]?\d\.\d", text)]
    assert sorted(labels) == sorted(["0.0", "0.1", "0.2"] * 4)


def test_stages_that_share_a_row_are_named_in_their_units(tmp_path):
    path, schedule = str(tmp_path / "picture.svg"), interleaved([0, 1] * 2, 2)
    draw_units(path, spans_of(schedule), ROWS, "title", [0, 1, 0, 1])
    svg = (tmp_path / "picture.svg").read_text()
    labels = [text for text in texts(svg) if re.fullmatch(r"\d[FB]\d", text)]
    assert sorted(labels) == sorted(f"{unit.stage}{unit}" for units in schedule for unit in units)
    boxes = re.findall(r'<path d="M [\d.]+ ([\d.]+) \nL [^"]*z', svg)
    assert len(set(boxes[-len(labels):])) == 2  # heights


def test_time_begins_with_the_first_unit(tmp_path):
    shifted = [drawn(tmp_path, spans_of(fill_drain(2, 2), start)) for start in (0.0, 1000.0)]
    boxes = [re.findall(r'<path d="(M [^"]*z)', svg.replace("\n", " ")) for svg in shifted]
    assert len(boxes[0]) > 8
    numbers = [[float(n) for box in found for n in re.findall(r"-?\d+\.?\d*", box)] for found in boxes]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-3)


def test_a_unit_too_short_for_letters_has_a_box_only(tmp_path):
    spans = [Span(Unit("F", 0, 0), 0.0, 1.0), Span(Unit("F", 0, 1), 1.0, 1.001), Span(Unit("F", 0, 2), 1.1, 2.0)]
    svg = drawn(tmp_path, spans, rows=ROWS[:1])
    assert [text for text in texts(svg) if text[0] == "F"] == ["F0", "F2"]
    assert len(re.findall("stroke: #ffffff", svg)) == 3
