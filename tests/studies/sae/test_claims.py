"""Verdicts on results that are made up, so that each verdict is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bezoar.evaluate.contest_results import Contest, ContestRow, Difference, Family, SourceRow
from bezoar.stats import Interval
from bezoar.studies.sae.claims import claims_of
from bezoar.studies.sae.claims.found import Found
from bezoar.studies.sae.claims.latents import spearman
from tests.studies.sae.made import feature_table, quality_table


def at(value: float, width: float = 0.01) -> Interval:
    return Interval(value, value - width, value + width)


def row(family: Family, kind: str, auroc: float, features: tuple[int, ...] = ()) -> ContestRow:
    return ContestRow(
        reader=f"{family} reader",
        family=family,
        kind=kind,
        site="",
        pooling="",
        n_features=len(features) or 100,
        penalty=1.0,
        cv_auroc=auroc,
        auroc=at(auroc),
        average_precision=at(auroc),
        f1=at(auroc),
        balanced_accuracy=at(auroc),
        tpr_at_1=at(auroc),
        calibration_error=at(0.02),
        calibrated=0.01,
        features=features,
        chosen=True,
    )


def contest(sae: float, dense: float, words: float, length: float = 0.5) -> Contest:
    rows = (
        row("sae", "all", sae),
        row("sae", "k=5", sae - 0.2, (1, 2, 3, 4, 5)),
        row("dense", "all", dense),
        row("baseline", "words", words),
        row("baseline", "length", length),
    )
    first = Difference(rows[0].label, rows[2].label, "auroc", at(sae - dense, 0.002), 0.01, 0.01)
    return Contest(
        task="label 1 against label 0",
        rows=rows,
        differences=(first,),
        efficiency=(),
        noise=(),
        leave_one_out=(),
        winner="",
        loser="",
        settled=True,
        verdict="",
        fewest={},
        train_n=100,
        train_positives=50,
        report_n=100,
        report_positives=50,
        balance="none",
        folds=5,
        grid="",
    )


def verdicts(found: Found) -> dict[str, str]:
    return {claim.key: claim.verdict for claim in claims_of(found, "a model").claims}


def test_nothing_measured_decides_nothing() -> None:
    assert set(verdicts(Found()).values()) == {"not measured"}


def test_latents_that_win_win() -> None:
    told = verdicts(Found(contest=contest(sae=0.95, dense=0.90, words=0.80)))
    assert told["latents-tell"] == "holds"
    assert told["latents-beat-dense"] == "holds"
    assert told["latents-as-good"] == "fails"
    assert told["latents-beat-words"] == "holds"
    assert told["no-shortcut"] == "holds"


@pytest.mark.parametrize(
    ("drawn", "verdict"), [(0.90, "holds"), (0.949, "undecided"), (0.97, "fails")]
)
def test_training_helps_if_the_same_latents_do_worse_untrained(drawn: float, verdict: str) -> None:
    held = contest(sae=0.95, dense=0.90, words=0.80)
    other = row("untrained", "all", drawn)
    pair = Difference(held.rows[0].label, other.label, "auroc", at(0.95 - drawn, 0.002), 0.1, 0.1)
    told = replace(held, rows=(*held.rows, other), differences=(*held.differences, pair))
    assert verdicts(Found(contest=told))["training-helps"] == verdict
    assert verdicts(Found(contest=held))["training-helps"] == "not measured"


def test_latents_that_lose_lose() -> None:
    told = verdicts(Found(contest=contest(sae=0.85, dense=0.90, words=0.95, length=0.7)))
    assert told["latents-beat-dense"] == "fails"
    assert told["latents-beat-words"] == told["dense-beats-words"] == "fails"
    assert told["few-latents"] == "fails"
    assert told["no-shortcut"] == "fails"


def test_the_paired_interval_decides_where_there_is_one() -> None:
    """Apart, the rows' intervals overlap."""
    close = Found(contest=contest(sae=0.905, dense=0.900, words=0.8))
    assert verdicts(close)["latents-beat-dense"] == "holds"
    assert close.contest is not None
    unpaired = Found(contest=replace(close.contest, differences=()))
    assert verdicts(unpaired)["latents-beat-dense"] == "undecided"
    assert verdicts(close)["latents-as-good"] == "holds"


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.7, "holds"), (0.505, "undecided"), (0.4, "fails")]
)
def test_a_source_that_is_not_read_fails_the_claim(value: float, verdict: str) -> None:
    seen = tuple(
        SourceRow("sae reader: all", "sae", name, 50, 25, at(0.9), at(score))
        for name, score in (("A", 0.9), ("B", value))
    )
    found = Found(contest=replace(contest(0.9, 0.9, 0.8), leave_one_out=seen))
    assert verdicts(found)["sources-left-out"] == verdict


def test_sources_left_out_of_few_latents_do_not_count() -> None:
    seen = tuple(
        SourceRow(f"sae reader: {kind}", "sae", "A", 50, 25, at(0.9), at(score))
        for kind, score in (("all", 0.9), ("k=5", 0.4))
    )
    found = Found(contest=replace(contest(0.9, 0.9, 0.8), leave_one_out=seen))
    [told] = [c for c in claims_of(found, "m").claims if c.key == "sources-left-out"]
    assert told.verdict == "holds"
    assert told.value == at(0.9)


def test_each_set_of_harmless_texts_counts() -> None:
    alike, other = contest(0.45, 0.5, 0.5), contest(0.99, 0.99, 0.99)
    assert verdicts(Found(harmless=(other,)))["harmful-from-harmless"] == "holds"
    assert verdicts(Found(harmless=(other, alike)))["harmful-from-harmless"] == "fails"


def test_dead_latents_and_lost_predictions_are_seen() -> None:
    good = Found(quality=quality_table(dead=0.02, recovered=0.97))
    bad = Found(quality=quality_table(dead=0.30, recovered=0.50))
    assert verdicts(good)["few-tokens-kill"] == "fails"
    assert verdicts(good)["faithful"] == "holds"
    assert verdicts(bad)["few-tokens-kill"] == "holds"
    assert verdicts(bad)["faithful"] == "fails"


def test_a_score_that_finds_readers_is_told_from_one_that_does_not() -> None:
    rng = np.random.default_rng(0)
    auroc = rng.uniform(0.3, 0.9, 300)
    score = np.abs(auroc - 0.5)
    assert verdicts(Found(features=feature_table(auroc, score)))["score-finds-readers"] == "holds"
    against = verdicts(Found(features=feature_table(auroc, 1 - score)))
    assert against["score-finds-readers"] == "fails"
    along = verdicts(Found(features=feature_table(auroc, score, probe_cosine=auroc - 0.5)))
    assert along["kind-of-latent"] == "holds"


def test_rank_correlation_is_covered_by_its_interval() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        a = rng.normal(size=60)
        b = 0.5 * a + np.sqrt(0.75) * rng.normal(size=60)
        value = spearman(a, b)
        covered += value.low <= 0.4826 <= value.high  # 6/π · asin(ρ/2) for ρ = .5
    assert covered >= 180
