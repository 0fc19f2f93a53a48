"""The page of a study: every number of the paper is found, and hostile texts stay texts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bezoar.corpus.rows import Origin
from bezoar.errors import CorruptArtefact
from bezoar.pairs import Pairs
from bezoar.report import write_report
from bezoar.report.blocks import Facts
from bezoar.report.dpo import write_dpo_report
from bezoar.report.dpo.artefacts import load_study
from bezoar.report.dpo.paper import FIGURES, TABLES
from bezoar.report.dpo.parts import kind_of
from bezoar.report.dpo.sections.training import training
from bezoar.report.dpo.verdict import verdict
from bezoar.report.render import plotly_script
from bezoar.runs.results import save_json, save_result
from tests.report import specimens as audit
from tests.report.dpo import specimens
from tests.report.dpo.specimens import write_study
from tests.report.test_page import HOSTILE, SLUR, Page

LINK = re.compile(r'<a href="#([^"]*)">((?:Figure|Table) \d+)</a>')
HOSTILE_TEXTS = dict.fromkeys(("token", "text", "prompt", "model", "source"), HOSTILE)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("study"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return (run / "report.html").read_text("utf-8").replace(plotly_script(), "")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html.replace("\u00a0", " "))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("hostile"), **HOSTILE_TEXTS)
    write_report(folder)
    return folder


def test_only_a_study_gets_the_page_of_a_study(page: Page, tmp_path: Path) -> None:
    audited = write_report(audit.write_run(tmp_path)).read_text("utf-8")
    assert "bezoar study dpo" in page.text
    assert "bezoar study dpo" not in Page(audited).text
    assert not (tmp_path / "figures").exists()


def test_each_number_of_the_paper_is_linked_to_what_bears_it(html: str, page: Page) -> None:
    links = {name: key for key, name in LINK.findall(html)}
    ids = {a["id"] for _, a in page.elements if "id" in a}
    missing = {"Figure 3", "Figure 9", "Figure 10"}  # a drawing, and sources of two more layers
    every = {f"Figure {n}" for n in FIGURES} | {f"Table {n}" for n in TABLES}
    assert set(links) == every - missing
    for name, key in links.items():
        assert key in ids
        assert re.match(rf"{name.lower().replace(' ', '_')}(_|$)", key)
        assert f"{name} of Lee et al. 2024" in page.text
    assert page.text.count("(not in this run)") == 2  # its configuration says nothing of layers
    assert "a drawing, without data" in page.text


def test_the_index_says_which_setting_left_figures_out(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    for layers, told in ((2, "compare.layers: 2"), (4, "the model has no more layers to look at")):
        config = f"study: dpo\nmodel:\n  name: demo\ncompare:\n  layers: {layers}\n"
        (folder / "config.yaml").write_text(config)
        text = Page(write_report(folder).read_text("utf-8")).text
        assert text.count(f"As Figure 5, for another layer (not in this run: {told})") == 2


def test_ids_are_unique_and_every_link_has_a_target(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in page.elements if tag == "a"} <= set(ids)


def test_it_loads_nothing_and_is_small(run: Path, page: Page) -> None:
    assert (run / "report.html").stat().st_size < 8_000_000
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "poster", "action", "xlink:href"):
            assert not attributes.get(name) or attributes[name].startswith("#")


def test_the_verdict_says_what_training_did_and_what_undid_it(page: Page) -> None:
    assert "DPO, as training left it, lowers it to 0.160 (−0.182 [−0.206, −0.158]" in page.text
    assert "(7 keys × 10) toxicity is 0.290 [" in page.text
    assert "a share of 0.710 [0.400, 1.020] of the reduction is undone" in page.text
    assert "The behaviour is bypassed, not eliminated" in page.text
    for told in (
        "Perplexity changes by +6.8 % [+6.0 %, +7.6 %]",
        "with AUROC 0.900 [0.880, 0.920] (base: 0.930 [0.910, 0.950]; it loses 0.030 [",
        "Over all attacks 90 % [81 %, 99 %] of the reduction survives on average, least against",
    ):
        assert told in page.text
    told = "Of 4 claims of Lee et al. 2024 and around it, 1 holds, 1 fails, 1 is undecided, 1 was"
    assert told in page.text


def test_the_verdict_judges_null_edits_as_the_claims_do(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path))
    card = study.audit.scorecard
    assert card is not None

    def said(n: int) -> str:
        rows = tuple(replace(r, n_draws=n) if r.label == "dpo" else r for r in card.rows)
        rows = tuple(replace(r, rank_p=1 / (n + 1)) if r.label == "dpo" else r for r in rows)
        found = replace(study.audit, scorecard=replace(card, rows=rows))
        return " ".join(verdict(replace(study, audit=found)).sentences)

    assert "more than training on shuffled pairs does" in said(19)
    for n in (1, 2, 18):
        assert "more than training on shuffled pairs does" not in said(n)
        assert "too few null edits to decide whether training on shuffled pairs does" in said(n)


STEERED = {
    "how": "steered",
    "alpha": 0.4,
    "direction": {"name": "mean difference 2.resid_post", "site": "2.resid_post"},
}


@pytest.mark.parametrize(
    ("provenance", "told"),
    [
        (
            STEERED,
            "the model wrote both sides, while the difference of class means at 2.resid_post ",
        ),
        ({"how": "pplm", "probe": {"site": "5.resid_post"}}, "steered by a probe at 5.resid_post"),
        ({"how": "read"}, "people's pairs were read from the-file.parquet"),
        ({}, "how the sides of its pairs were made was not kept"),
    ],
)
def test_the_page_says_who_made_the_pairs(
    tmp_path: Path, provenance: dict[str, object], told: str
) -> None:
    """It once said of all of them that the probe's direction was added."""
    study = load_study(write_study(tmp_path))
    said = ("The river",) * 2, (" a mild day.",) * 2, (" a foul day.",) * 2
    pairs = Pairs(*said, origin=Origin("the-file.parquet"), provenance=provenance)
    section = training(replace(study, some_pairs=pairs))
    assert told in section.intro
    assert "adding and subtracting the probe" not in section.intro
    assert "nothing is trained on those" in section.intro  # PPLM's
    names = [row[0] for block in section.blocks[:1] for row in block.rows]
    assert names == [kind_of(pairs), "PPLM"]


def test_what_began_at_zero_has_no_relative_change(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path))
    zero = {name: replace(log, relative=0.0) for name, log in study.trainings.items()}
    for logs, told in ((study.trainings, "0.40 %"), (zero, "–")):
        blocks = training(replace(study, trainings=logs)).blocks
        facts = dict(next(block for block in blocks if isinstance(block, Facts)).items)
        assert facts["‖ΔW‖ / ‖W‖ of what was free"].replace("\u00a0", " ") == told


def test_sentences_on_fewer_prompts_say_on_how_many(page: Page) -> None:
    n = len(specimens.shift("3.resid_mid", "3.417").points)
    assert page.text.count(f"Measured on {n} prompts.") >= 3  # the shifts, W + t ΔW, its table
    drops = specimens.drop(0.3)
    assert f"Measured on {drops.prompts_n} prompts." in page.text


def test_claims_stand_in_order_with_verdict_and_interval(page: Page) -> None:
    statements = [claim["statement"] for claim in specimens.claims()["claims"]]
    places = [page.text.index(statement) for statement in statements]
    assert places == sorted(places)
    assert "[−0.210, −0.150]" in page.text
    assert "0.999310" in page.text  # of a cosine three digits would say nothing
    assert "[0.999310" not in page.text  # computed, not sampled: it has no interval


def test_settings_that_differ_from_the_printed_ones_are_shown(page: Page) -> None:
    words = page.text.split()
    assert words.count("same") > 15
    at = page.text.index("Settings of PPLM. As printed")
    after = page.text[at:].split()
    assert after[after.index("iterations") + 1 :][:2] == ["50", "10"]
    assert after[after.index("size") + 1 :][:2] == ["0.4", "same"]


def test_a_training_on_values_alone_is_beside_its_own_drift(page: Page) -> None:
    at = page.text.rindex("What training needs")
    table = page.text[at:]
    row = table[table.index("dpo values:64") :].split("dpo beta")[0]
    assert "0.8 %" in row  # the second of the drifts
    assert "−0.072" in row  # the row of the scorecard


def test_hostile_texts_are_only_texts(hostile: Path, page: Page) -> None:
    html = (hostile / "report.html").read_text("utf-8").replace(plotly_script(), "")
    seen = Page(html)
    assert [tag for tag, _ in seen.elements if tag == "script"] == [
        tag for tag, _ in page.elements if tag == "script"
    ]
    assert not any(tag == "img" for tag, _ in seen.elements)
    assert not any(name.startswith("on") for _, attributes in seen.elements for name in attributes)
    assert "<script>alert(1)</script>" in seen.text  # shown, not run
    assert not set("\x1b\x00\u202e\u2028") & set(html)
    assert SLUR not in html.lower()
    for figure in seen.data()[1:]:
        text = json.dumps(figure, ensure_ascii=False)
        assert not re.search(r"<(?!br>|/?b>|/?extra>)", text)


def test_unmasked_texts_wait_to_be_asked_for(tmp_path: Path) -> None:
    folder = write_study(tmp_path, text=f"a {SLUR}")
    html = write_report(folder, unmask=True).read_text("utf-8")
    assert f'<span class="masked">a {SLUR[0]}****{SLUR[-1]}</span>' in html
    assert f'<span class="raw">a {SLUR}</span>' in html


def test_a_part_that_is_missing_is_a_sentence(run: Path, tmp_path: Path) -> None:
    save_json(tmp_path / "audit.json", json.loads((run / "audit.json").read_text()))
    (tmp_path / "config.yaml").write_text("study: dpo\n")
    html = write_report(tmp_path).read_text("utf-8")
    text = Page(html).text
    assert {name for _, name in LINK.findall(html)} == {"Table 5", "Table 6"}  # the printed ones
    for n in (1, 2, 3, 4):
        assert f"there is no Table {n}" in text
    for sentence in ("there is no Figure 1", "no Figures 4 and 6", "judged no claims"):
        assert sentence in text
    assert "attacked nothing" in text


def test_why_a_part_was_skipped_is_told(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    (folder / "compare" / "drop.json").unlink()
    for name in ("drop_shared", "drop_random"):
        (folder / "compare" / f"{name}.json").unlink()
    save_json(folder / "compare" / "skipped.json", {"reasons": {"drop": "It has no neurons."}})
    text = Page(write_report(folder).read_text("utf-8")).text
    assert "there is no Figure 2. It has no neurons." in text


def test_a_broken_model_is_no_success_of_scaled_keys(page: Page) -> None:
    table = page.text[page.text.index("Every point of the curve") :]
    rows = table[: table.index("The attacker's texts: held-out texts.")]
    assert [word in rows for word in ("×1, 7 keys", "×100, 7 keys", "random keys")] == [True] * 3
    assert rows.count("no, broken") == 1
    assert "no place in this model: up (no gate)" in page.text


def test_a_study_whose_training_did_nothing_says_so(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    card = specimens.scorecard()
    idle = audit.method_row("dpo as trained", "method", 0.35, 41.3)
    rows = tuple(idle if row.label == idle.label else row for row in card.rows)
    save_result(
        folder / "evaluate" / "scorecard.json",
        type(card)(card.protocol, rows, 200, card.selection_scorer, card.report_scorer),
    )
    page = Page(write_report(folder).read_text("utf-8"))
    assert "does not clearly lower it: it is 0.350" in page.text
    assert "of the reduction is undone" not in page.text
    assert "scaled keys have nothing to bring back" in page.text
    assert any(a.get("class") == "verdict bad" for _, a in page.elements)


@pytest.mark.parametrize("name", ["compare/shifts.json", "claims/claims.json"])
@pytest.mark.parametrize("text", ["{", '{"a": [1]}', '{"a": [], "b": []}', "3"])
def test_a_damaged_part_is_named(tmp_path: Path, name: str, text: str) -> None:
    folder = write_study(tmp_path)
    (folder / name).write_text(text)
    with pytest.raises(CorruptArtefact, match=name):
        write_dpo_report(folder)


def test_equal_runs_give_equal_bytes(run: Path) -> None:
    before = {p: p.read_bytes() for p in _written(run)}
    write_report(run)
    assert {p: p.read_bytes() for p in _written(run)} == before


def _written(run: Path) -> list[Path]:
    return [run / "report.html", *(run / "figures").iterdir(), *(run / "tables").iterdir()]
