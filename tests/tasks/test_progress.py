"""How far and how fast a run is, and what it leaves behind."""
import json
import math
from dataclasses import asdict

import mxnet as mx
import numpy
import pytest

from mxmp import Plan
from mxmp.tasks.progress import Meter, Progress, describe_run, draw_curve, loss_text, write_results
from mxmp.tasks.translation.options import Options


def test_losses_are_divided_once_by_all_tokens():
    meter = Meter()
    for loss, norm, tokens, counted in ((10.0, 1.0, 4, 9), (50.0, 3.0, 6, 11)):
        meter.add(mx.nd.array([loss]), mx.nd.array([norm]), tokens, counted)
    loss, norm, seconds = meter.read()
    assert (loss, norm, meter.counted) == (pytest.approx(60 / 10), 3.0, 20) and seconds > 0


def test_skipped_steps_have_no_part_in_the_loss():
    for skipped, expected in (([0, 1, 0], 60 / 10), ([1, 1, 1], math.nan)):
        meter = Meter()
        for (loss, tokens), bad in zip(((10.0, 4), (math.nan, 5), (50.0, 6)), skipped):
            meter.add(mx.nd.array([loss]), mx.nd.array([1.0]), tokens, 9, mx.nd.array([2, 3 * bad]))
        assert meter.read()[0] == pytest.approx(expected, nan_ok=True) and (meter.tokens, meter.counted) == (15, 27)


@pytest.mark.parametrize("loss, text", [(0.0, "loss 0.0000 ppl 1.00"), (math.log(8), "loss 2.0794 ppl 8.00"),
                                        (1e9, "loss 1000000000.0000 ppl inf"), (math.nan, "loss nan ppl nan")])
def test_a_loss_has_its_exponential_beside_it_unless_it_is_smoothed(loss, text):
    assert loss_text(loss) == text and loss_text(loss, smoothed=True) == "smoothed " + text.split(" ppl")[0]


def test_results_say_how_long_where_and_with_what(tmp_path):
    progress = Progress(epoch=2, step=30, counted=600, seconds=9.04, training_seconds=3.0)
    found = describe_run(Options(), Plan((1, 2), (mx.cpu(0), mx.cpu(1))), progress, (mx, numpy))
    write_results(tmp_path, {"score": "\u00e9", **found})
    (path,) = tmp_path.iterdir()
    read = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "results.json" and read == {"score": "\u00e9", **found}
    assert (read["epochs"], read["steps"], read["seconds"], read["tokens_per_second"]) == (2, 30, 9.0, 200.0)
    assert read["plan"] == {"layers": [1, 2], "contexts": ["cpu(0)", "cpu(1)"]}
    assert set(read["versions"]) == {"mxmp", "mxnet", "numpy"} and read["options"] == asdict(Options())


def test_a_curve_is_drawn_with_and_without_a_score(tmp_path):
    progress = Progress(train_loss=[[1, 3.0], [2, 2.0]], valid=[[2, 2.5, 11.0]])
    for name, given, right in (("a.png", progress, "BLEU"), ("b.png", progress, ""),
                               ("c.png", Progress(train_loss=[[1, 3.0]]), "BLEU")):
        draw_curve(given, tmp_path / name, right)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
