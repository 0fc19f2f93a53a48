"""The words of the page: they claim what the evidence carries, and the sections agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bezoar.report import write_model_card, write_report
from bezoar.report.artefacts import load_artefacts
from bezoar.report.figures.comparison import beats_its_nulls, drawn_note, p_tone, proven
from bezoar.report.verdict import next_step, verdict
from bezoar.runs.results import save_json, save_result
from tests.report import specimens
from tests.report.specimens import write_run
from tests.report.test_page import Page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _page(write_run(tmp_path_factory.mktemp("run")))


def _page(folder: Path) -> str:
    return Page(write_report(folder).read_text("utf-8")).text


def _altered(folder: Path, label: str, **fields: object) -> Path:
    """A run folder whose row ``label`` is another."""
    card = specimens.scorecard()
    rows = tuple(replace(row, **fields) if row.label == label else row for row in card.rows)
    save_result(write_run(folder) / "evaluate" / "scorecard.json", replace(card, rows=rows))
    return folder


def test_the_chosen_remedy_is_named_by_who_chose_it(page: str) -> None:
    chosen = "Of the remedies that become plain weights, demo-a#17be04aa chose subtract probe"
    assert chosen in page
    assert "best remedy" not in page.lower()


def test_the_page_begins_with_the_answer_and_says_what_to_do_next(tmp_path: Path) -> None:
    few = verdict(load_artefacts(write_run(tmp_path / "few"))).sentences
    assert few[0] == (
        "subtract probe makes demo 59\u00a0% [52, 66] less toxic for +4.6\u00a0% perplexity, which "
        "is not proven: too few null edits to decide whether edits that know nothing of it do as "
        "well (10 null edits)."
    )
    assert any(s.startswith("Next: draw more null edits") for s in few)
    proven = {"n_draws": 39, "rank_p": 1 / 40}
    many = verdict(load_artefacts(_altered(tmp_path / "a", "subtract probe", **proven))).sentences
    assert many[0].endswith("more than each of 39 null edits: this is proven.")
    assert any("bezoar attack demo --edit RUN/mitigate/edits/subtract)" in s for s in many)
    beaten = {"n_draws": 39, "rank_p": 0.5}
    chance = verdict(load_artefacts(_altered(tmp_path / "b", "subtract probe", **beaten))).sentences
    assert "which is not proven" in chance[0]
    assert any(s.startswith("Next: report on more prompts") for s in chance)


def test_few_nulls_decide_nothing_whatever_their_p(tmp_path: Path, page: str) -> None:
    open_ = "too few null edits to decide whether it does better (p = 0.002"
    assert open_ in page  # ten nulls: no rank p below 1/11
    few = write_report(write_run(tmp_path / "a")).read_text("utf-8")
    assert 'class="verdict good"' not in few
    assert "10 draws, too few" in few
    assert "too few null edits to decide whether it does better" in model_card(tmp_path / "a")
    worse = _altered(tmp_path / "c", "subtract probe", n_draws=18, rank_p=0.9, holm_p=1.0)
    assert "too few null edits to decide" in _page(worse)
    assert "than chance would" not in _page(worse)
    many = _altered(tmp_path / "b", "subtract probe", n_draws=39, rank_p=1 / 40)
    html = write_report(many).read_text("utf-8")
    assert "it does better than they do" in html
    assert 'class="verdict good"' in html


def test_nulls_that_are_too_few_are_drawn_by_the_option_that_draws_them(tmp_path: Path) -> None:
    run = load_artefacts(write_run(tmp_path))
    (row,) = (row for row in specimens.scorecard().rows if row.label == "subtract probe")
    drawn, trained = (replace(row, n_draws=3, method=name) for name in (row.method, "dpo"))
    asked = {"mitigate": {"null_draws": 3, "trained_nulls": 3}}
    run = replace(run, config=yaml.safe_dump(asked))
    assert "draw more null edits, with --set mitigate.null_draws=19 --" in next_step(run, drawn)
    both = "--set mitigate.trained_nulls=19 --set mitigate.null_draws=19 --update"
    assert both in next_step(run, trained)
    asked["mitigate"]["null_draws"] = 20
    run = replace(run, config=yaml.safe_dump(asked))
    assert "with --set mitigate.trained_nulls=19 --update" in next_step(run, trained)


def model_card(folder: Path) -> str:
    return write_model_card(folder, folder / "checkpoint").read_text("utf-8")


def test_one_draw_is_one_draw_and_too_few() -> None:
    row = next(row for row in specimens.scorecard().rows if row.label == "subtract probe")
    assert drawn_note(replace(row, n_draws=1)) == "1 draw, too few"
    assert drawn_note(replace(row, n_draws=19)) == "19 draws"
    assert p_tone(replace(row, n_draws=1)) == "muted"
    assert p_tone(replace(row, n_draws=19, rank_p=0.05)) == "good"
    assert beats_its_nulls(replace(row, n_draws=18, rank_p=1 / 19)) is None


def test_a_remedy_no_better_than_chance_says_so(tmp_path: Path) -> None:
    folder = _altered(tmp_path, "subtract probe", n_draws=39, rank_p=0.5, holm_p=0.6)
    assert "it does not do better than chance would (p = 0.6" in _page(folder)


def test_a_method_without_nulls_is_not_shown_as_proven() -> None:
    row = next(row for row in specimens.scorecard().rows if row.label == "subtract probe")
    assert not proven(replace(row, holm_p=None, rank_p=None, n_draws=0))
    assert not proven(row)
    assert proven(replace(row, n_draws=19, rank_p=0.05))


def test_texts_left_out_are_counted_once(page: str, tmp_path: Path) -> None:
    seen = specimens.exploration()
    limited = replace(seen, left_out={"beyond the limit": 3258}, rows=3558)
    save_result(write_run(tmp_path) / "explore" / "exploration.json", limited)
    assert "3,258 left out (beyond the limit)" in _page(tmp_path)
    assert "60 left out (2 empty, 58 repeated)" in page  # of a run that kept no counts


def test_the_facts_have_names_and_an_order(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    about = json.loads((folder / "audit.json").read_text())
    held = {"only texts held out from the demo assets": False, "held out means": "labelled texts"}
    save_json(folder / "audit.json", about | held | {"d_mlp": 1024})
    text = _page(folder)
    assert "held out means" not in text
    order = ("labelled texts", "budget of every method", "scorer B", "MLP neurons in a layer")
    places = [text.index(name, text.index("What was audited")) for name in order]
    assert places == sorted(places)
    save_json(folder / "audit.json", about | held | {next(iter(held)): True})
    assert "held out means" in _page(folder)
