"""The agreement study: its measures against cases made by hand, its readers, and its page."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recipes.agreement import images, measures, sets, study
from recipes.agreement.figures import FIGURES
from recipes.agreement.page import page
from recipes.agreement.scorers import Scored, about
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from bezoar.errors import DataError
from bezoar.stats.splits import is_reserved

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"


def opinion(scores, threshold=0.5) -> Scored:
    scores = np.asarray(scores, dtype=float)
    return Scored({"toxicity": scores}, scores >= threshold)


class Loud:
    """Scores capital letters; calls toxic from one half on."""

    name, hash, lineage, threshold = "loud", "0" * 16, "none", 0.5
    attributes = ("toxicity",)

    @property
    def provenance(self):
        return {"sets": [["hatecheck", "", ""], ["jigsaw_toxic", "", ""]]}

    def score(self, texts):
        capitals = [sum(c.isupper() for c in text) / max(1, len(text)) for text in texts]
        return {"toxicity": np.array(capitals)}


def test_wilson_interval_of_known_cases():
    # Newcombe 1998, Table I: 81 of 263 and 1 of 29.
    seen = measures.share(np.arange(263) < 81)
    assert (seen.low, seen.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    seen = measures.share(np.arange(29) < 1)
    assert (seen.low, seen.high) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    none = measures.share(np.zeros(20, dtype=bool))
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(0.1611, abs=5e-5)
    with pytest.raises(DataError, match="no rows"):
        measures.share(np.array([], dtype=bool))


def test_kappa_is_cohens_and_its_interval_holds_it():
    # 20 both yes, 15 both no, 5 + 10 apart: observed 0.7, chance 0.5, κ 0.4.
    a = np.repeat([True, True, False, False], [20, 5, 10, 15])
    b = np.repeat([True, False, True, False], [20, 5, 10, 15])
    seen = measures.kappa(a, b)
    assert seen.value == pytest.approx(0.4)
    assert seen.value == pytest.approx(cohen_kappa_score(a, b))
    # The standard error of Fleiss, Cohen & Everitt (1969) for this table is 0.1265.
    assert (seen.high - seen.low) / (2 * 1.96) == pytest.approx(0.1265, rel=0.08)
    with pytest.raises(DataError, match="single score or verdict"):
        measures.kappa(np.ones(5, dtype=bool), np.ones(5, dtype=bool))


def test_spearman_ranks_anew_in_each_resample():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, 40).astype(float)  # many ties
    b = a + rng.integers(0, 6, 40)
    counts = rng.multinomial(40, np.full(40, 1 / 40), size=3)
    ranks = measures._MidRanks(a)(counts.astype(float))
    for drawn, rank in zip(counts, ranks, strict=True):
        repeated = np.repeat(a, drawn)
        ordered = np.searchsorted(np.sort(repeated), repeated, side="left")
        upto = np.searchsorted(np.sort(repeated), repeated, side="right")
        np.testing.assert_allclose(np.repeat(rank, drawn), (ordered + upto) / 2)
    seen = measures.spearman(a, b)
    assert seen.value == pytest.approx(spearmanr(a, b)[0])
    assert seen.low < seen.value < seen.high


def test_reliability_counts_every_text_once_and_floors_at_chance():
    rng = np.random.default_rng(1)
    scores = rng.random(4000)
    exact, wrong = rng.random(4000) < scores, rng.random(4000) < scores**3
    curve = measures.reliability(np.array([0.05, 0.07, 0.95, 1.0]), np.array([0, 1, 1, 1]) > 0)
    assert [(b["n"], b["positive"].value) for b in curve] == [(2, 0.5), (2, 1.0)]
    assert curve[0]["score"] == pytest.approx(0.06)
    good, bad = (measures.calibration(scores, labels) for labels in (exact, wrong))
    assert good["error"] < 2 * good["floor"] < 0.05
    assert bad["error"] == pytest.approx(1 / 4, abs=0.03)  # ∫ x − x³


def test_borkans_aurocs_tell_what_a_term_does():
    """The term lifts every score by 7/64: order within is kept, across it is not."""
    toxic = np.array([0, 0, 0, 1, 1, 1] * 2, dtype=bool)
    plain = np.array([1, 2, 3, 7, 8, 9])
    scores = np.concatenate([plain, plain + 7]) / 64
    member = np.arange(12) >= 6
    seen = measures.bias_aurocs(scores, toxic, member, [str(i) for i in range(12)])
    assert seen["subgroup"].value == 1
    assert seen["bnsp"].value == 1
    # Toxic without the term 7, 8, 9 against harmless with it 8, 9, 10: one pair in order, two tied.
    assert seen["bpsn"].value == pytest.approx((1 + 2 / 2) / 9)
    assert measures.power_mean([0.9, 0.9, 0.9]) == pytest.approx(0.9)
    assert 0.5 < measures.power_mean([0.5, 0.9, 0.9]) < np.mean([0.5, 0.9, 0.9])


def test_density_holds_every_text_with_columns_of_the_first():
    cells = measures.density(np.array([0.9, 1.0, 0.1]), np.array([0.1, 0.0, 0.6]), bins=2)
    assert cells == [[0, 2], [1, 0]]


def test_functionalities_are_counted_by_verdict():
    cases = sets.Cases(
        ["ABC", "abc", "ABc", "abc", "Abc"],
        ["slur_h"] * 3 + ["slur_homonym_nh"] * 2,
        np.array([1, 1, 1, 0, 0], dtype=bool),
    )
    hateful, harmless = study.functional({"loud": Loud()}, cases)
    assert (hateful["test"], hateful["hateful"], hateful["n"]) == ("slur_h", True, 3)
    assert hateful["scorers"]["loud"].value == pytest.approx(2 / 3)
    assert harmless["scorers"]["loud"].value == 1


def test_pairs_and_false_alarms_count_verdicts():
    opinions = {"a": opinion([0.9, 0.6, 0.1, 0.2] * 5), "b": opinion([0.8, 0.1, 0.7, 0.3] * 5)}
    (pair,) = study.agreement(opinions)
    assert [own.value for own in pair["called"]] == [0.5, 0.5, 0.25]
    assert pair["kappa"].value == pytest.approx(0)
    alarms = study.false_alarms("x", opinions)
    assert (alarms["n"], alarms["all"].value) == (20, 0.25)


def test_an_attribute_is_measured_where_it_was_judged():
    judged = sets.Judged(
        ["x"] * 12, {"toxicity": np.array([0, 1] * 6), "threat": np.full(12, np.nan)}
    )
    toxicity, threat = study.attributes(judged, {"a": opinion(np.tile([0.2, 0.6], 6))})
    assert toxicity["scorers"]["a"].value == 1
    assert (threat["n"], threat["scorers"]) == (0, {})


def test_a_scorer_that_learnt_from_a_set_read_whole_is_named():
    assert about("loud", Loud())["trespasses"] == ["hatecheck"]


def test_pieces_are_short_and_lose_no_word():
    text = "One. " + "word " * 60 + "end! Last"
    parts = list(sets.pieces(text))
    assert [len(part.split()) for part in parts] == [1, 25, 25, 11, 1]
    assert " ".join(parts).split() == text.split()


@pytest.fixture
def placed(tmp_path, monkeypatch):
    """Put a table where a set is expected, and let its checksum be right."""

    def place(name: str, **columns) -> Path:
        source = sets.SOURCE[name]
        path = tmp_path / source.file
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), path)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setitem(sets.SOURCE, name, replace(source, sha256=found))
        return tmp_path

    return place


def test_templates_split_into_term_and_telling_word(placed):
    frames = [
        ("am_hate_adj", "I hate {}", "toxic", "hate"),
        ("am_hate_adj", "I am {}", "nontoxic", "am"),
        ("verb_adj", "hug {}", "nontoxic", "hug"),
        ("being_adj", "Being {} is vile", "toxic", "vile"),
        ("you_are_adj", "You are a kind {}", "nontoxic", "kind"),
    ]
    terms = ["african", "african american", "american"]
    rows = [(kind, f.format(term), label) for kind, f, label, _ in frames for term in terms]
    rows += [("you_occupation", "You are a vile american", "toxic")]
    kinds, phrases, labels = zip(*rows, strict=True)
    root = placed("identity_bias_templates", template=kinds, phrase=phrases, toxicity=labels)
    found = sets.templates(root)
    assert found.terms == terms * len(frames) + [""]
    assert found.words == [word for *_, word in frames for _ in terms] + ["vile"]
    assert found.toxic.sum() == 7


def test_only_the_reserve_of_comments_is_read_and_what_may_be_learnt_is_left_out(placed):
    texts = [f"comment {n}" for n in range(60)]
    reserved = [text for text in texts if is_reserved(text)]
    assert 0 < len(reserved) < 30
    columns = {name: [None] * 60 for name in ("obscene", "insult", "threat", "identity_hate")}
    placed("jigsaw", comment_text=texts, toxic=[0, 1] * 30, **columns)
    placed("wiki_context_toxicity", text=["only here"], parent=[None], label=[0], annotated=["x"])
    upper = {name.upper(): [0.5] * 61 for name in sets.ATTRIBUTES[1:]}
    scores = {"TOXICITY@6": [0.5] * 61} | upper
    root = placed("perspective_wiki_2k", comment_text=[*texts, "new"], **scores)
    found = sets.jigsaw(root)
    assert found.texts == reserved
    assert np.isnan(found.judgement["threat"]).all()
    wiki, left_out = sets.perspective_comments(root)
    assert wiki.texts == [*reserved, "new"]
    assert left_out == 60 - len(reserved)


def test_a_drawing_is_the_same_bytes_whatever_its_clips_are_called():
    svg = '<g class="trace{0}" fill="#a1b2c3"><path id="clip{0}xy" d="M1.23456,7.5"/></g>'
    one, other = (images._settled(svg.format(word)) for word in ("4f2c1a", "99e0bb"))
    assert one == other
    assert "#a1b2c3" in one
    assert "M1.23,7.5" in one


def test_another_file_of_the_name_is_refused(placed, tmp_path):
    root = placed("hatecheck", test_case=["x"], functionality=["slur_h"], label_gold=["hateful"])
    (root / sets.SOURCE["hatecheck"].file).write_bytes(b"PAR1")
    with pytest.raises(DataError, match="SHA-256"):
        sets.hatecheck(root)


def test_the_page_and_its_figures_are_those_of_the_numbers():
    found = json.loads((RESULTS / "scorers" / "numbers.json").read_text("utf-8"))
    assert (RESULTS / "scorers.md").read_text("utf-8") == page(found), (
        "make it again: python -m recipes.agreement --from-numbers --out docs/results/scorers"
    )
    drawn = {f"{name}-{mode}.svg" for name in FIGURES for mode in ("light", "dark")}
    assert {path.name for path in (RESULTS / "scorers").glob("*.svg")} == drawn
    for name, draw in FIGURES.items():
        titles = [axis.title.text for axis in draw(found).select_xaxes() if axis.title.text]
        assert titles or name == "identity"
