"""Pictures: pure, never empty, finite, and with intervals."""

from __future__ import annotations

import codecs
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bezoar.errors import NoFigure
from bezoar.report import theme
from bezoar.report.figures import figure_of
from bezoar.report.figures.budget_trace import budget_trace
from bezoar.report.figures.class_counts import class_counts
from bezoar.report.figures.comparison import comparison, with_nulls
from bezoar.report.figures.lens_curve import lens_curve
from bezoar.report.figures.lens_map import lens_map
from bezoar.report.figures.logit_parts import logit_parts
from bezoar.report.figures.pareto import pareto
from bezoar.report.figures.probe_map import probe_map
from bezoar.report.figures.promoted_tokens import promoted_tokens
from bezoar.report.figures.robustness import robustness
from bezoar.report.figures.text_lengths import text_lengths
from bezoar.report.figures.training_curve import training_curve
from bezoar.report.figures.value_ranking import value_ranking
from bezoar.stats.intervals import Interval
from tests.report import specimens

PICTURES: dict[str, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    "budget_trace": (budget_trace, specimens.traces),
    "class_counts": (class_counts, specimens.exploration),
    "comparison": (comparison, specimens.scorecard),
    "lens_curve": (lens_curve, specimens.lens),
    "lens_curves": (lambda lens: lens_curve(lens, specimens.frozen_lens()), specimens.lens),
    "lens_map": (lens_map, specimens.lens),
    "logit_parts": (logit_parts, specimens.components),
    "pareto": (lambda card: pareto(card, budget=0.05), specimens.scorecard),
    "probe_map": (probe_map, specimens.sweep),
    "promoted_tokens": (lambda lists: promoted_tokens(lists[0]), specimens.token_lists),
    "robustness": (robustness, specimens.robustness),
    "text_lengths": (text_lengths, specimens.exploration),
    "training_curve": (training_curve, specimens.training),
    "value_ranking": (value_ranking, specimens.ranking),
}


@pytest.fixture(params=PICTURES)
def drawn(request: pytest.FixtureRequest) -> tuple[dict, dict]:
    draw, specimen = PICTURES[request.param]
    return json.loads(draw(specimen()).to_json()), json.loads(draw(specimen()).to_json())


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, (int, float)):
        yield value


def test_equal_results_give_equal_pictures(drawn: tuple[dict, dict]) -> None:
    assert drawn[0] == drawn[1]


def test_every_trace_has_finite_data(drawn: tuple[dict, dict]) -> None:
    figure = drawn[0]
    assert figure["data"]
    for trace in figure["data"]:
        assert trace["x"]
        assert len(trace["x"]) == len(trace["y"]) or trace["type"] == "heatmap"
        found = [n for key in ("x", "y", "z") for n in numbers(trace.get(key, []))]
        assert found
        assert all(math.isfinite(n) for n in found)


def test_no_picture_fixes_a_colour_of_text_or_ground(drawn: tuple[dict, dict]) -> None:
    layout = {k: v for k, v in drawn[0]["layout"].items() if k != "template"}
    text = json.dumps(layout)
    assert set(re.findall(r"#[0-9a-f]{6}", text)) <= set(theme.SERIES)
    assert "bgcolor" not in text


def test_labels_are_escaped() -> None:
    figure = promoted_tokens(specimens.token_lists(token="<b>x</b>")[0])
    assert "&lt;b&gt;x&lt;/b&gt;" in json.dumps(figure.to_plotly_json(), default=str)
    assert theme.wrapped("<a> b", 3) == "&lt;a&gt;<br>b"


def test_figure_of_masks_unless_told_otherwise() -> None:
    word = codecs.decode("shpxre", "rot13")
    tokens = specimens.token_lists(token=word)[0]
    assert word not in figure_of(tokens).to_json()
    assert word in figure_of(tokens, unmask=True).to_json()
    assert tokens.figure().data  # the method of results finds it


def test_figure_of_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(NoFigure, match=r"No picture is drawn of a Interval\..*TokenList"):
        figure_of(Interval(0.0, 0.0, 0.0))
    with pytest.raises(NoFigure, match="no method to draw"):
        comparison(replace(specimens.scorecard(), rows=()))
    assert "<pre>" in specimens.exploration().counts[0]._repr_html_()


def test_value_vectors_are_drawn_by_rank_and_layer() -> None:
    ranking = specimens.ranking()
    (dots,) = ranking.figure().data
    assert list(dots.x) == [1, 2, 3, 4, 5]
    assert list(dots.y) == pytest.approx([entry.cosine for entry in ranking.entries])
    assert list(dots.marker.color) == [entry.layer for entry in ranking.entries]
    assert [row[0] for row in dots.customdata] == [str(entry) for entry in ranking.entries]


def test_methods_are_paired_with_their_own_nulls() -> None:
    pairs = with_nulls(specimens.scorecard())
    assert len(pairs) == len(specimens.METHODS)
    for method, nulls in pairs:
        assert len(nulls) == len(specimens.NULLS)
        assert all(null.label.startswith(method.label) for null in nulls)


def test_comparison_draws_each_interval_as_the_scorecard_has_it() -> None:
    card = specimens.scorecard()
    figure = comparison(card)
    seen = {}
    for trace in figure.data:
        if trace.xaxis == "x" and trace.name != "null edits":
            for i, (label, _) in enumerate(trace.customdata):
                low = trace.x[i] - trace.error_x.arrayminus[i]
                seen[label] = (low, trace.x[i], trace.x[i] + trace.error_x.array[i])
    for row in card.rows:
        if row.kind == "method":
            change = row.change["toxicity"]
            assert seen[row.label] == pytest.approx((change.low, change.value, change.high))


def test_the_front_is_beaten_by_none() -> None:
    figure = pareto(specimens.scorecard())
    front = next(trace for trace in figure.data if trace.name == "front")
    points = [
        (x, y)
        for trace in figure.data
        if trace.name in ("methods", "no edit")
        for x, y in zip(trace.x, trace.y, strict=True)
    ]
    for x, y in zip(front.x, front.y, strict=True):
        assert not any(a <= x and b <= y and (a, b) != (x, y) for a, b in points)


def test_pareto_labels_do_not_lie_on_each_other() -> None:
    notes = [
        note for note in pareto(specimens.scorecard()).layout.annotations if note.ay is not None
    ]
    heights = sorted(note.ay for note in notes)
    assert all(b - a > 0.01 for a, b in itertools.pairwise(heights))


def test_a_deep_model_is_thinned_and_keeps_its_last_state() -> None:
    lens = specimens.lens(layers=80)
    heat = lens_map(lens).data[0]
    assert len(heat.y) <= 48
    assert heat.y[-1] == "79 post"


def test_every_search_has_a_panel_of_its_own() -> None:
    traces = specimens.traces()
    figure = budget_trace(traces)
    wide = [figure.layout[f"xaxis{i + 1 if i else ''}"].domain for i in range(len(traces))]
    tall = [figure.layout[f"yaxis{i + 1 if i else ''}"].domain for i in range(len(traces))]
    places = [(*x, *y) for x, y in zip(wide, tall, strict=True)]
    for a, b in itertools.combinations(places, 2):
        assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    lines = [trace for trace in figure.data if trace.customdata is not None]
    assert [len(line.x) for line in lines] == [len(trace.points) for trace in traces]
    titles = [note.text for note in figure.layout.annotations]
    assert [t for t in titles if "no strength" in t] == ["scale<br>no strength met the budget"]
    assert sum("not monotone" in t for t in titles) == 1


def test_parts_of_a_logit_are_drawn_as_they_are() -> None:
    found = specimens.components()
    drawn = {
        name: y
        for bar in logit_parts(found).data
        for (name, _), y in zip(bar.customdata, bar.y, strict=True)
    }
    assert drawn == {p.component: p.logit.value for p in found.parts if p.component != "bias"}


def test_the_line_of_an_attack_is_the_lowest_counting_share_so_far() -> None:
    line = next(t for t in robustness(specimens.robustness()).data if t.line.dash == "solid")
    assert list(line.x) == [1, 10, 320]
    assert list(line.y) == pytest.approx([0.9, 0.3, 0.3])  # the broken model counts for nothing


def test_an_attack_that_does_not_apply_is_not_drawn() -> None:
    whole = specimens.robustness()
    assert len({t.xaxis for t in robustness(whole).data}) == 2
    with pytest.raises(TypeError, match="it lowers nothing"):
        robustness(replace(whole, curves=(), undefined="it lowers nothing"))
