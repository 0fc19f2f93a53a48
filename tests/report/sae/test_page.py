"""The page of a study of autoencoders: complete, in order, and whole where a stage is missing."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

from bezoar.corpus.explore import GroupCount
from bezoar.errors import CorruptArtefact
from bezoar.report import write_report
from bezoar.report.sae.sections.texts import cells_of
from bezoar.runs.results import save_result
from tests.report.sae import specimens
from tests.report.sae.specimens import write_audit, write_study
from tests.report.test_page import HOSTILE, SLUR, Page, without_plotly


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


def sections(html: str) -> list[str]:
    return re.findall(r'<section class="part" id="([\w-]+)"', html)


def test_sections_stand_in_the_order_of_the_study(html: str) -> None:
    assert sections(html) == [
        "data", "doubtful", "training", "quality", "features", "the-contest", "harmless",
        "detector", "source-claims", "audited", "limits", "reproduce",
    ]  # fmt: skip


def test_the_verdict_names_the_winner_and_by_how_much(page: Page) -> None:
    assert "Toxicity & hate against the rest: Dense activations win" in page.text
    assert "−0.029" in page.text
    assert "[−0.036, −0.022] paired by text" in page.text
    assert "1 holds, 1 fails, 1 was not measured" in page.text


def test_what_is_not_settled_has_no_winner(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    save_result(folder / "contest" / "contest.json", specimens.contest(settled=False))
    html = write_report(folder).read_text("utf-8")
    assert 'class="verdict "' in html
    assert "[−0.012, +0.004]" in html


def test_tables_have_the_numbers_of_the_results(run: Path) -> None:
    told = {row["reader"]: row for row in rows(run, "table_contest")}
    for row in specimens.contest().rows:
        assert float(told[row.label]["AUROC"]) == pytest.approx(row.auroc.value)
        assert float(told[row.label]["AUROC, low"]) == pytest.approx(row.auroc.low)
        assert float(told[row.label]["calibration error"]) == pytest.approx(0.03)
    quality = {row["autoencoder"]: row for row in rows(run, "table_quality")}
    for one in specimens.quality_table().rows:
        seen = float(quality[one.name]["explained variance"])
        assert seen == pytest.approx(one.held_out.explained_variance)
    assert len(rows(run, "table_contest_differences")) == len(specimens.contest().differences)


def test_latents_in_tables_have_their_own_numbers_and_lead_to_their_cards(
    run: Path, html: str
) -> None:
    of = specimens.table()
    places = {latent: i for i, latent in enumerate(of.id)}
    found = rows(run, "table_features_largest")
    assert int(found[0]["latent"]) == of.id[of.contribution.index(max(of.contribution))]
    for row in found:
        assert float(row["AUROC"]) == pytest.approx(of.auroc[places[int(row["latent"])]])
    links = set(re.findall(r'href="features\.html#latent-(\d+)"', html))
    assert links
    assert links <= {str(card.id) for card in specimens.cards(of)}
    assert 'href="features.html"' in html


def test_the_detector_says_what_it_costs_and_how_it_is_asked(run: Path, page: Page) -> None:
    alarms, hits, auroc = rows(run, "table_detector")
    assert float(alarms["seen"]) == pytest.approx(0.012)
    assert float(hits["to expect, low"]) == pytest.approx(0.40)
    assert float(auroc["seen"]) == pytest.approx(0.93)
    tried = rows(run, "table_detector_tried")
    assert [row["texts"] for row in tried] == ["xstest", "violence", "toxicity & hate"]
    assert float(tried[0]["flagged, low"]) == pytest.approx(0.25)
    assert "every flag is a false alarm" in page.text
    assert "A bag of words does as well: −0.004 [−0.012, +0.004]" in page.text
    assert "bezoar detect --probe RUN/detector" in page.text


def test_what_was_left_out_and_what_is_there_again_is_told(run: Path, page: Page) -> None:
    noise = {row["reason"]: row for row in rows(run, "table_noise")}
    assert noise["short"]["texts"] == "2"
    assert noise["fragment"]["texts"] == "1"
    assert "families of repeats" in page.text
    assert "Families of near repeats stay: whole in the split" in page.text
    assert rows(run, "table_languages")[0]["language"] == "English"


def test_texts_of_both_labels_are_one_cell() -> None:
    counts = (
        GroupCount("a", "x", 0, 3, 10.0), GroupCount("a", "x", 1, 1, 30.0),
        GroupCount("b", "x", 1, 2, 7.0),
    )  # fmt: skip
    first, second = cells_of(counts)
    assert (first.n, first.ones, first.mean_characters) == (4, 1, 15.0)
    assert (second.source, second.n, second.ones) == ("b", 2, 2)


def test_every_file_of_the_page_is_there(run: Path, page: Page) -> None:
    drawn = {path.stem for path in (run / "figures").glob("*.html")}
    assert drawn >= {
        "sae_training", "sae_quality", "sae_density", "sae_probing", "sae_interpretability",
        "contest", "contest_differences", "contest_efficiency", "contest_noise", "contest_layers",
        "survey_counts", "length_distribution", "length_map", "contest_sources",
        "contest_calibration", "contest_harmless_1",
    }  # fmt: skip
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert set(ids) >= drawn
    assert (run / "features.html").exists()


@pytest.mark.parametrize(
    "stage", ["saes", "quality", "features", "contest", "claims", "explore", "detector"]
)
def test_a_stage_that_is_missing_is_said_and_no_more(
    run: Path, html: str, tmp_path: Path, stage: str
) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(folder / stage)
    found = write_report(folder).read_text("utf-8")
    assert sections(found) == sections(html)
    assert "This run " in Page(found).text
    if stage == "features":
        assert not (folder / "features.html").exists()
        assert "features.html" not in without_plotly(found)


def test_a_run_that_only_looked_at_its_texts_has_a_page(tmp_path: Path) -> None:
    page = Page(write_report(write_audit(tmp_path)).read_text("utf-8"))
    assert "This study has held no contest yet." in page.text


def test_a_card_that_is_damaged_is_named_by_its_line(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    path = folder / "features" / "cards.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-9], *lines[2:]]))
    with pytest.raises(CorruptArtefact, match=r"cards\.jsonl, line 2"):
        write_report(folder)


def test_hostile_texts_and_names_stay_texts(tmp_path: Path) -> None:
    names = ("token", "text", "model", "source", "name", "prompt")
    folder = write_study(tmp_path, **dict.fromkeys(names, HOSTILE))
    for path in (write_report(folder), folder / "features.html"):
        html = without_plotly(path.read_text("utf-8"))
        assert "<img" not in html
        assert "<script>alert" not in html
        assert SLUR not in html
        assert "\u202e" not in html
    for path in (folder / "tables").glob("*.csv"):
        assert SLUR not in path.read_text()
