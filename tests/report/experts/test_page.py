"""The page of a study of experts: its tables and pictures, gaps without noise, hostile texts."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bezoar.errors import CorruptArtefact
from bezoar.evaluate import Scorecard
from bezoar.report import write_report
from bezoar.report.experts import write_experts_report
from bezoar.report.experts.artefacts import load_study
from bezoar.report.experts.paper import FIGURES, MAIN, SHARES, TABLES
from bezoar.report.experts.sections.methods import main_table
from bezoar.report.experts.verdict import verdict
from bezoar.runs.results import save_result
from tests.report import specimens as audit
from tests.report.experts import specimens
from tests.report.experts.specimens import write_audit, write_study
from tests.report.test_page import HOSTILE, SLUR, Page

LINK = re.compile(r'<a href="#([a-z_0-9]+)">((?:Figure|Table) \d+|\w+ table)</a>')
FIELDS = ("token", "text", "prompt", "model")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("study"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return (run / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html.replace("\u00a0", " "))


def rows(run: Path, name: str) -> list[dict[str, str]]:
    with (run / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_sections_stand_in_the_order_of_the_question(html: str) -> None:
    found = re.findall(r'<section class="part" id="([\w-]+)"', html)
    assert found == [
        "exhibits", "paper-claims", "methods", "grid", "choices", "neurons", "layers", "detection",
        "states", "audited", "data", "limits", "reproduce",
    ]  # fmt: skip


def test_each_table_and_figure_of_the_paper_is_linked_to_what_bears_it(
    html: str, page: Page
) -> None:
    links = {name: key for key, name in LINK.findall(html)}
    ids = {a["id"] for _, a in page.elements if "id" in a}
    every = {f"Figure {n}" for n in FIGURES} | {f"{n} table".capitalize() for n in TABLES}
    assert set(links) == every
    assert set(links.values()) <= ids
    assert len(ids) == len([a for _, a in page.elements if "id" in a])
    assert "not in this run" not in page.text


def test_the_main_table_has_the_numbers_of_the_scorecard(run: Path) -> None:
    seen = {row["variant"]: row for row in rows(run, "table_main")}
    card = specimens.scorecard()
    methods = [row for row in card.rows if row.kind == "method"]
    assert set(seen) == {"no-op", *(row.label for row in methods)}
    for row in methods:
        assert float(seen[row.label]["toxicity"]) == pytest.approx(row.metrics["toxicity"].value)
        assert float(seen[row.label]["change, low"]) == pytest.approx(row.change["toxicity"].low)
        assert float(seen[row.label]["TPH"]) == pytest.approx(row.change["tph"].value)
        assert float(seen[row.label]["hyper-volume"]) == pytest.approx(0.2)
        assert bool(seen[row.label]["p (Holm)"]) == (row.holm_p is not None)
    beside = {row["variant"]: row for row in rows(run, "table_beside")}
    assert float(beside["aura"]["last word, changed"]) == 7


def test_numbers_of_the_paper_are_told_apart_from_ours(page: Page, run: Path) -> None:
    assert page.text.count("What EigenShift (2025) prints") == 4
    for printed in (MAIN[0][5], "9.28, 6.23, 28.5"):
        assert printed in page.text
        assert not any(printed in path.read_text() for path in (run / "tables").glob("*.csv"))
    shares = rows(run, "table_neurons")
    assert {row["units"] for row in shares} == {"as in the paper"}
    assert str(SHARES[0][1][0]) not in (run / "tables" / "table_neurons.csv").read_text()


def test_what_broke_the_model_is_named_and_not_drawn(page: Page, run: Path) -> None:
    assert "more than doubles: det-0 as published (perplexity +9,851 %)" in page.text
    drawn = (run / "figures" / "outcomes.json").read_text()
    assert "aura as published" in drawn
    assert "det-0 as published" not in drawn


def test_the_verdict_says_what_the_method_did_as_published_and_at_the_budget(page: Page) -> None:
    assert "EigenShift as published lowers it to 0.240 (−0.102 [−0.126, −0.078]" in page.text
    assert "too few null edits to decide whether arbitrary choices of directions do as" in page.text
    assert "Of the methods that beat their nulls" not in page.text
    assert "1 holds, 1 fails, 1 is undecided, 1 was not measured" in page.text


def test_too_few_null_edits_are_said_with_the_option_that_draws_enough(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path))
    card = study.audit.scorecard
    assert card is not None

    def said(n_draws: int, drawn: int) -> str:
        rows = tuple(
            replace(r, n_draws=n_draws, rank_p=r.rank_p and 1 / (n_draws + 1))
            if r.kind == "method"
            else replace(r, n_draws=0)
            for r in card.rows
        )
        config = f"mitigate: {{null_draws: {drawn}}}"
        found = replace(study.audit, scorecard=replace(card, rows=rows), config=config)
        return " ".join(verdict(replace(study, audit=found)).sentences)

    assert "6 null edits of a method are too few" in said(6, 2)
    assert "--set mitigate.null_draws=7 " in said(6, 2)
    assert "Of the methods that beat their nulls" not in said(6, 2)
    enough = said(21, 7)
    assert "too few" not in enough
    assert "no more than arbitrary choices of directions do (p = 0.050" in enough
    assert "Of the methods that beat their nulls at the budget, transport leaves least" in enough


def test_what_cannot_change_is_marked_and_what_is_unlike_is_said(run: Path) -> None:
    seen = {row["edit"]: row for row in rows(run, "table_detection")}
    assert seen["eigenshift as published"]["reads: probe"] == "fixed"
    assert float(seen["aura as published"]["reads: probe"]) == pytest.approx(-0.1)
    assert seen["no toxicity measured"]["writes: toxicity"] == ""
    contests = rows(run, "table_layers")
    assert {row["alike"] for row in contests} == {"yes", "no"}
    grid = rows(run, "table_grid")
    assert [row["change"] for row in grid[:2]] == ["control", "control"]
    random = rows(run, "table_choices")[-1]
    assert random["choice"] == "3 random choices"
    ours, *_ = rows(run, "table_choices_at_cost")
    assert ours["choice, note"] == "α 0.000"  # each has its own


def test_a_study_that_only_began_has_a_page_without_gaps_that_pretend(tmp_path: Path) -> None:
    text = Page(write_report(write_audit(tmp_path)).read_text("utf-8")).text
    for told in ("has no grid", "compared no choices", "scored no units", "clustered no layers",
                 "at no edit as a reader", "collected no states", "judged no claims",
                 "there is no main table", "has measured no model yet"):  # fmt: skip
        assert told in text
    assert text.count("(not in this run)") == len(FIGURES) + len(TABLES)
    assert {path.name for path in (tmp_path / "tables").glob("*.csv")} == set()


def test_a_study_without_eigenshift_says_so(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    card = specimens.scorecard()
    kept = tuple(row for row in card.rows if row.method != "eigenshift")
    save_result(folder / "evaluate" / "scorecard.json", Scorecard(
        card.protocol, kept, 200, card.selection_scorer, card.report_scorer
    ))  # fmt: skip
    study = load_study(folder)
    assert "was not measured at its printed strength" in " ".join(verdict(study).sentences)
    assert study.audit.scorecard is not None
    assert all(row[-1].text == "–" for row in main_table(study, study.audit.scorecard).rows)


def test_hostile_texts_stay_texts_everywhere(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **dict.fromkeys(FIELDS, HOSTILE))
    page = Page(write_report(folder).read_text("utf-8"))
    assert SLUR not in page.text
    assert not [tag for tag, a in page.elements if tag == "img" or "onerror" in a]
    for path in [*(folder / "tables").iterdir(), *(folder / "figures").glob("[a-o]*.json")]:
        assert SLUR not in path.read_text()


def test_only_this_study_gets_this_page(page: Page, tmp_path: Path) -> None:
    assert "bezoar study experts" in page.text
    audited = write_report(audit.write_run(tmp_path)).read_text("utf-8")
    assert "bezoar study experts" not in Page(audited).text


@pytest.mark.parametrize("name", ["grid/grid.json", "layers/layers.json", "claims/claims.json"])
def test_a_damaged_part_is_named(tmp_path: Path, name: str) -> None:
    folder = write_study(tmp_path)
    (folder / name).write_text('{"a": [1]}')
    with pytest.raises(CorruptArtefact, match=name):
        write_experts_report(folder)
