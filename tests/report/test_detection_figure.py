"""Detection against generation, drawn: hollow where nothing can change, intervals elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bezoar.errors import NoFigure
from bezoar.evaluate.detection_results import Detection, DetectorScore, EditDetection
from bezoar.report.figures import figure_of
from bezoar.stats import Interval

BASE = {name: Interval(0.9, 0.87, 0.93) for name in ("probe", "frozen", "unembed_in", "logits")}


def score(detector: str, change: float, identity: bool = False) -> DetectorScore:
    auroc = Interval(0.9 + change, 0.87 + change, 0.93 + change)
    moved = Interval(change, change - 0.02, change + 0.02)
    return DetectorScore(detector, auroc, moved, identity, "it <b>cannot</b>" if identity else "")


def specimen() -> Detection:
    shift = (
        *(score(name, 0.0, True) for name in ("probe", "frozen", "unembed_in")),
        score("unembed_edited", -0.01),
        score("logits", -0.05),
        score("says", -0.2),
    )
    gate = tuple(score(name, -0.1) for name in ("probe", "frozen", "unembed_in", "logits", "says"))
    edits = (
        EditDetection("eigenshift", "eigenshift <i>", False, Interval(-0.2, -0.25, -0.15), shift),
        EditDetection("aura", "aura", False, Interval(-0.1, -0.14, -0.06), gate),
        EditDetection("lost", "never measured", False, None, gate),
    )
    base = BASE | {"says": Interval(0.8, 0.75, 0.85)}
    return Detection("EIGEN@4x2 on p", "b#1", "5.resid_post", "mean", 60, 60, base, edits)


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    return json.loads(figure_of(specimen()).to_json())


def test_each_detector_has_its_marks_and_an_identity_is_hollow(drawn) -> None:
    traces = {trace["name"]: trace for trace in drawn["data"]}
    assert len(traces) == 5
    assert traces["probe"]["marker"]["symbol"] == ["circle-open", "circle"]
    assert traces["probe"]["error_y"]["array"] == pytest.approx([0, 0.02])
    assert traces["probe"]["error_x"]["array"] == pytest.approx([0.05, 0.04])
    assert traces["the same, as edited"]["x"] == [-0.2]
    panels = [traces[name].get("xaxis", "x") for name in ("probe", "probability of telling words")]
    assert panels == ["x", "x2"]


def test_an_edit_that_was_not_measured_as_a_writer_has_no_mark(drawn) -> None:
    assert all(len(trace["x"]) <= 2 for trace in drawn["data"])
    with pytest.raises(NoFigure, match="writer"):
        figure_of(Detection("p", "s", "0.resid_post", "mean", 1, 1, {}, specimen().edits[2:]))


def test_labels_are_text_not_markup(drawn) -> None:
    told = drawn["data"][0]["customdata"][0]
    assert "&lt;i&gt;" in told
    assert "&lt;b&gt;cannot" in told
