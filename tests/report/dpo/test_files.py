"""Tables and figures as files: they say what the page says, and calculate or load nothing."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import plotly.graph_objects as go
import pytest

from bezoar.errors import CorruptArtefact
from bezoar.report import write_report
from bezoar.report.blocks import Cell, Section, Table
from bezoar.report.study.export import export
from bezoar.runs.results import save_json
from bezoar.runs.stale import drop_pages
from tests.report.dpo import specimens
from tests.report.dpo.specimens import write_study
from tests.report.dpo.test_page import HOSTILE_TEXTS
from tests.report.test_page import SLUR, Page


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("study"))
    write_report(folder)
    return folder


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_there_is_a_file_for_each_table_and_figure(run: Path) -> None:
    tables = {path.stem for path in (run / "tables").iterdir()}
    assert {f"table_{n}" for n in range(1, 7)} <= tables
    figures = {path.name for path in (run / "figures").iterdir()}
    for stem in ("figure_1_logit_lens", "figure_2_activation_drop", "figure_4_residual_shift"):
        assert {f"{stem}.json", f"{stem}.html"} <= figures
    assert {"plotly.min.js", "figure.js"} <= figures
    numbers = {int(n) for name in figures for n in re.findall(r"^figure_(\d+)_", name)}
    assert numbers == {1, 2, 4, 5, 6, 7, 8}


def test_a_figure_is_what_plotly_reads_back(run: Path) -> None:
    for path in (run / "figures").glob("*_*.json"):
        figure = go.Figure(json.loads(path.read_text()))
        assert figure.data
        assert figure.layout.template.layout.font.family


def test_a_table_has_the_numbers_of_the_scorecard(run: Path) -> None:
    card = specimens.scorecard()
    rows = {row["variant"]: row for row in _rows(run / "tables" / "table_2.csv")}
    assert "dpo as trained, 7 keys × 10" not in rows  # it is Table 4
    for row in card.rows:
        if row.kind == "method" and row.label in rows:
            change, toxicity = row.change["toxicity"], row.metrics["toxicity"]
            seen = rows[row.label]
            assert float(seen["toxicity"]) == pytest.approx(toxicity.value)
            told = [float(seen[name]) for name in ("change", "change, low", "change, high")]
            assert told == pytest.approx([change.value, change.low, change.high])
    assert len(_rows(run / "tables" / "table_4.csv")) == 3


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    cells = ("=1+1", "+x", "-x", "@SUM(A1)", "\tx", "fine", Cell("−0.5", "", "", (-0.5,)))
    table = Table("t", tuple("abcdefg"), (cells, cells), key="table_9")
    export(tmp_path, [Section("s", "S", "", (table,))])
    with (tmp_path / "tables" / "table_9.csv").open(newline="") as file:
        _, first, _ = csv.reader(file)
    assert first[:5] == ["'=1+1", "'+x", "'-x", "'@SUM(A1)", "'\tx"]
    assert first[5:] == ["fine", "-0.5"]


def test_a_table_without_rows_is_its_head(tmp_path: Path) -> None:
    export(tmp_path, [Section("s", "S", "", (Table("t", ("a", "b"), (), key="table_9"),))])
    assert (tmp_path / "tables" / "table_9.csv").read_text() == "a,b\n"


def test_hostile_texts_are_only_texts(tmp_path: Path) -> None:
    folder = write_study(tmp_path, **HOSTILE_TEXTS)
    write_report(folder)
    for path in [*(folder / "figures").iterdir(), *(folder / "tables").iterdir()]:
        if path.name in ("plotly.min.js", "files.json"):
            continue
        text = path.read_text("utf-8")
        assert SLUR not in text.lower(), path
        assert not set("\x1b\x00\u202e\u2028") & set(text), path
        if path.suffix == ".html":
            page = Page(text)
            scripts = [a for tag, a in page.elements if tag == "script"]
            running = [a for a in scripts if a.get("type") != "application/json"]
            assert [a["src"] for a in running] == ["plotly.min.js", "figure.js"]
            assert not any(tag == "img" for tag, _ in page.elements)
            assert len(page.data()) == 2


def test_the_page_of_a_figure_runs_no_script_of_its_own(run: Path) -> None:
    page = Page((run / "figures" / "figure_1_logit_lens.html").read_text("utf-8"))
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; script-src 'self' file:;")
    assert "Figure 1 of Lee et al. 2024" in page.text
    assert next(a for _, a in page.elements if a.get("role") == "img")["aria-label"]


def test_texts_are_whole_where_they_are_asked_for(tmp_path: Path) -> None:
    folder = write_study(tmp_path, text=f"a {SLUR}")
    write_report(folder, unmask=True)
    assert SLUR in (folder / "tables" / "table_3.csv").read_text("utf-8")
    write_report(folder)
    assert SLUR not in (folder / "tables" / "table_3.csv").read_text("utf-8")


def test_what_an_earlier_page_left_is_removed(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    write_report(folder)
    (folder / "compare" / "lens.json").unlink()
    write_report(folder)
    assert not list((folder / "figures").glob("figure_1_*"))
    assert list((folder / "figures").glob("figure_2_*"))


def test_a_run_that_changes_drops_them_with_the_page_and_nothing_else(tmp_path: Path) -> None:
    table = Table("t", ("a",), (("1",),), key="table_9")
    export(tmp_path, [Section("s", "S", "", (table,))])
    for name in ("figures/mine.html", "tables/mine.csv", "report.html", "evaluate/a.json"):
        save_json(tmp_path / name, {})
    drop_pages(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"figures/mine.html", "tables/mine.csv", "evaluate/a.json"}


def test_a_folder_that_leads_out_of_the_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "tables").symlink_to(tmp_path / "elsewhere")
    table = Table("t", ("a",), (("1",),), key="table_9")
    with pytest.raises(CorruptArtefact, match="links are not followed"):
        export(tmp_path / "run", [Section("s", "S", "", (table,))])
    assert not list((tmp_path / "elsewhere").iterdir())
