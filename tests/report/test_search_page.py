"""The page of a search, and its picture: both estimates, and what is not flattering."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bezoar.report import write_report
from bezoar.report.figures import figure_of
from bezoar.report.figures.search_front import search_front
from bezoar.report.tune.sections import curse
from bezoar.runs.results import save_result
from tests.report import searches, specimens


def test_each_finalist_has_an_arrow_from_where_it_was_chosen_to_where_it_is():
    figure = search_front(searches.found(), searches.finals())
    arrows = [note for note in figure.layout.annotations if note.showarrow]
    ends = [(a.ax, a.ay, a.x, a.y) for a in arrows]
    assert ends == [
        pytest.approx((2.8, 60.0, 3.4, 75.0)),
        pytest.approx((1.1, 80.0, 1.0, 90.0)),
    ]


def test_what_was_too_dear_is_not_drawn_and_what_was_tried_on_few_is_told_apart():
    figure = json.loads(search_front(searches.found()).to_json())
    named = {trace["name"]: trace["x"] for trace in figure["data"]}
    assert named["tried on some prompts"] == pytest.approx([2.0])
    assert sorted(named["tried on all"]) == pytest.approx([1.1, 2.8])
    assert "finalists, measured again" not in named
    assert figure_of(searches.found()).data


def test_a_search_of_which_nothing_was_cheap_enough_has_no_picture():
    found = searches.found()
    dear = tuple(replace(t, toxicity=()) for t in found.trials)
    with pytest.raises(TypeError, match="cheap enough"):
        search_front(replace(found, trials=dear, front=()))


def test_the_curse_is_told_in_numbers_and_where_it_cannot_be_it_says_so():
    (shrunk, foreseen) = curse(searches.finals())
    assert "40 %" in shrunk.replace("\u00a0", " ")
    assert "30 %" in shrunk.replace("\u00a0", " ")
    assert "shrinks by 25" in shrunk
    assert "2 edits" in foreseen
    first, *others = searches.finals().finalists
    untold = replace(searches.finals(), finalists=(replace(first, same_scorer=None), *others))
    assert "cannot be told" in curse(untold)[0]


def test_the_page_shows_both_estimates_the_failures_and_that_the_budget_was_passed(tmp_path):
    specimens.write_run(tmp_path)
    (tmp_path / "config.yaml").write_text("study: tune\nmitigate:\n  budget: ppl<=3%\n")
    save_result(tmp_path / "finalists" / "front.json", searches.found())
    save_result(tmp_path / "finalists" / "finals.json", searches.finals())
    html = write_report(tmp_path).read_text().replace("\u00a0", " ")
    assert "bezoar tune" in html
    assert "shrinks by 25 %" in html
    assert "1 of 2 finalists keep to ppl&lt;=3%" in html
    assert "dpo needs" in html
    assert "40 % [20 %, 60 %] of the reduction is" in html


@pytest.mark.parametrize(
    ("budget", "title"),
    [
        ("kl<=0.03", "divergence from the unedited model, nats"),
        ("ppl<=0.03", "change in perplexity"),
        ("bits_per_byte<=0.03", "change in bits per byte"),
    ],
)
def test_a_cost_that_is_no_share_is_told_in_its_own_unit(tmp_path, budget, title):
    found = replace(searches.found(), budget=budget)
    finals = replace(searches.finals(), budget=budget)
    figure = search_front(found, finals)
    assert figure.layout.xaxis.title.text == title
    arrows = [note for note in figure.layout.annotations if note.showarrow]
    assert [(a.ax, a.x) for a in arrows] == [
        pytest.approx((0.028, 0.034)),
        pytest.approx((0.011, 0.010)),
    ]
    specimens.write_run(tmp_path)
    (tmp_path / "config.yaml").write_text(f"study: tune\nmitigate:\n  budget: {budget}\n")
    save_result(tmp_path / "finalists" / "front.json", found)
    save_result(tmp_path / "finalists" / "finals.json", finals)
    html = write_report(tmp_path).read_text().replace("\u00a0", " ")
    assert "for +0.034 on other text" in html
    assert "+3.4 %" not in html
    assert "+2.8 %" not in html


def test_a_search_that_has_not_ended_has_a_page_that_says_so(tmp_path):
    specimens.write_run(tmp_path)
    (tmp_path / "config.yaml").write_text("study: tune\n")
    assert "has not come to its end" in write_report(tmp_path).read_text()
